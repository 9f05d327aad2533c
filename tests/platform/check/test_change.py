"""What an apply would change, from both sides' texts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kirsch.check.change import compare
from kirsch.nginx import render_site
from kirsch.spec import HostPaths, Stack, load_stack

TEXT = (
    '[stack]\nname = "x"\n[app.a]\nentry = "a:b"\n[pool.web]\nworkers = 2\n'
    '[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n'
)
PATHS = HostPaths("/srv/x", "/run/x")


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """One app, one pool, one vhost."""
    return load(tmp_path, TEXT.format(port=8080))


def load(folder: Path, text: str) -> Stack:
    """A stack from its text."""
    (folder / "kirsch.toml").write_text(text, encoding="utf-8")
    return load_stack(folder / "kirsch.toml")


def files(stack: Stack, generation: str = "000001") -> dict[str, str]:
    """What nginx reads for it."""
    return render_site(stack, PATHS, (1, 22, 1), generation=generation)


def test_the_same_stack_changes_nothing(stack: Stack) -> None:
    """Another generation's number is no change."""
    change = compare(stack, stack, files(stack), files(stack, "000002"))

    assert change.is_none
    assert not change.reload


def test_a_first_deploy_is_no_reload(stack: Stack) -> None:
    """Nothing is there that could be cut."""
    change = compare(None, stack, {}, files(stack))

    assert not change.is_none
    assert not change.reload
    assert [pool.what for pool in change.pools] == ["new"]


def test_addresses_zones_and_pools_are_told(stack: Stack, tmp_path: Path) -> None:
    """What is new, what is gone, and how long the old processes go on."""
    more = TEXT.format(port=8081).replace("workers = 2", "workers = 3") + 'rate = "10/s"\n'
    after = load(tmp_path, more)

    change = compare(stack, after, files(stack), files(after))

    assert change.reload
    assert (change.listen_new, change.listen_gone) == (("127.0.0.1:8081",), ("127.0.0.1:8080",))
    assert len(change.zones_new) == 1
    assert change.zones_gone == ()
    assert change.patience == "90s"
    assert list(change.pools[0].keys) == ["workers"]
    assert "+        listen 127.0.0.1:8081 default_server backlog=4096;" in {
        f"{line[:1]}        {line[1:].strip()}" for file in change.files for line in file.diff
    }


def test_hashes_of_passwords_are_not_shown(stack: Stack, tmp_path: Path) -> None:
    """That they changed is."""
    after = load(tmp_path, TEXT.format(port=8080) + 'auth = { realm = "r", users = { ann = "$6$salt$hash" } }\n')

    change = compare(stack, after, files(stack), files(after))
    said = msgspec.json.encode(change).decode()

    assert "passwords/main" in said
    assert "$6$salt$hash" not in said
