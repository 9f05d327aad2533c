"""One bad vhost never blocks the others: who is to blame, what it does meanwhile, and what nginx said."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import NginxError
from kirsch.nginx import NginxControl
from kirsch.nginx.isolation import Make, Test, find_bad
from kirsch.nginx.making import maker
from kirsch.nginx.trial import try_files
from kirsch.spec import Stack

Get = Callable[..., tuple[int, dict[str, str], Any]]
BASE = '[stack]\nname = "x"\n[app.shop]\nentry = "shop:Root"\n[pool.web]\nworkers = 1\n'
PLAIN = '[vhost.{name}]\nnames = ["{name}.example"]\nlisten = ["127.0.0.1:{port}"]\n{more}\n'
SECURE = (
    '[vhost.{name}]\nnames = ["{name}.example"]\nlisten = ["127.0.0.1:{port} tls"]\n'
    '[vhost.{name}.tls]\ncertificate = "shared/tls/{name}.pem"\nkey = "shared/tls/{name}.key"\n'
)


def judge(*bad: str, pairs: Collection[tuple[str, str]] = ()) -> tuple[Test, list[int]]:
    """A test that refuses *bad* and both of each of *pairs* together, and how many were asked about each time."""
    asked: list[int] = []

    def test(names: Collection[str]) -> list[str]:
        asked.append(len(names))
        lines = [f"[emerg] {name} is bad" for name in bad if name in names]
        return lines + [f"[warn] {one} and {two}" for one, two in pairs if one in names and two in names]

    return test, asked


def test_nobody_is_blamed_when_all_is_well() -> None:
    """One look is enough."""
    test, asked = judge()

    assert find_bad(["a", "b"], ["a"], test) == {}
    assert asked == [2]


def test_the_bad_ones_are_found_among_many() -> None:
    """With few looks: nginx takes seconds to read ten thousand vhosts."""
    names = [f"v{number}" for number in range(1000)]
    test, asked = judge("v17", "v800")

    bad = find_bad(names, names, test)

    assert bad == {"v17": ("[emerg] v17 is bad",), "v800": ("[emerg] v800 is bad",)}
    assert len(asked) < 40


def test_the_newcomer_is_blamed_for_a_quarrel() -> None:
    """Whoever served before goes on, wherever it stands in the file."""
    test, _ = judge(pairs=[("a", "z")])

    assert list(find_bad(["a", "m", "z"], ["a"], test)) == ["a"]
    assert list(find_bad(["a", "m", "z"], ["z"], test)) == ["z"]


def test_what_all_share_is_no_vhost_s_fault() -> None:
    """It is refused as a whole."""
    with pytest.raises(NginxError, match="all vhosts share") as caught:
        find_bad(["a", "b"], ["a"], lambda names: ["[emerg] no room"])

    assert caught.value.lines == ("[emerg] no room",)


@pytest.fixture
def bring(
    control: NginxControl, stack_from: Callable[[str], Stack], worker: Callable[..., Any]
) -> Callable[[str], Any]:
    """Have nginx serve the stack and what the text adds to it, as the supervisor does."""
    worker("web", 1)
    return lambda text: control.bring(maker(stack_from(BASE + text), control.paths, control.nginx, control.user))


def spoil(control: NginxControl, name: str) -> None:
    """A certificate that is none."""
    folder = Path(control.paths.shared, "tls")
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("pem", "key"):
        Path(folder, f"{name}.{kind}").write_text("-----BEGIN NONSENSE-----\n", encoding="ascii")


@pytest.mark.nginx
def test_a_new_vhost_with_a_broken_certificate_is_left_out(
    control: NginxControl,
    bring: Callable[[str], Any],
    get: Get,
    free_port: Callable[[], int],
    plain_tls: ssl.SSLContext,
) -> None:
    """The others start, its name is answered by nobody, and nginx's own words say why; mended, it serves."""
    port, secure = free_port(), free_port()
    text = PLAIN.format(name="a", port=port, more="") + SECURE.format(name="b", port=secure)
    text += SECURE.format(name="c", port=secure)
    spoil(control, "b")

    done = bring(text)
    others = get(port, host="a.example")[0], get(secure, host="c.example", secure=(plain_tls, "c.example"))[0]
    with pytest.raises((ssl.SSLError, OSError)):
        get(secure, host="b.example", secure=(plain_tls, "b.example"))
    again = bring(text)
    for kind in ("pem", "key"):
        os.unlink(f"{control.paths.shared}/tls/b.{kind}")
    mended = bring(text)

    assert (done.action, list(done.held)) == ("started", ["b"])
    assert done.held["b"].serves == "nothing"
    assert "cannot load certificate" in done.held["b"].lines[0]
    assert others == (200, 200)
    assert (again.action, list(again.held)) == ("unchanged", ["b"])
    assert (mended.action, mended.held) == ("reloaded", {})
    assert get(secure, host="b.example", secure=(plain_tls, "b.example"))[0] == 200


@pytest.mark.nginx
def test_a_vhost_that_went_bad_keeps_its_last_good_text_while_others_change(
    control: NginxControl, stack_from: Callable[[str], Stack], get: Get, free_port: Callable[[], int], worker: Any
) -> None:
    """Both change in one go, and nginx takes one of them."""
    worker("web", 1)
    port = free_port()

    def make(more: str, spoilt: str = "") -> Make:
        text = "".join(PLAIN.format(name=name, port=port, more=more) for name in "ab")
        rendered = maker(stack_from(BASE + text), control.paths, control.nginx, control.user)

        def files(generation: str, leave_out: frozenset[str]) -> dict[str, str]:
            found = dict(rendered(generation, leave_out))
            if spoilt and "vhosts/b.conf" in found:
                found["vhosts/b.conf"] += spoilt
            return found

        return files

    control.bring(make("maintenance = true"))
    done = control.bring(make("", "no_such_word on;\n"))

    assert done.held["b"].serves == "last good"
    assert 'unknown directive "no_such_word" in vhosts/b.conf:' in done.held["b"].lines[0]
    assert get(port, host="a.example")[0] == 200
    assert get(port, host="b.example")[0] == 503


@pytest.mark.nginx
def test_a_bad_vhost_that_would_lose_its_last_good_text_holds_up_an_exchange(
    control: NginxControl, stack_from: Callable[[str], Stack], get: Get, free_port: Callable[[], int], worker: Any
) -> None:
    """Who may not hold anything (another binary that takes over) leaves no vhost worse than it was."""
    worker("web", 1)
    port = free_port()
    text = "".join(PLAIN.format(name=name, port=port, more="") for name in "ab")
    rendered = maker(stack_from(BASE + text), control.paths, control.nginx, control.user)

    def make(ending: str, shared: dict[str, str]) -> Make:
        def files(generation: str, leave_out: frozenset[str]) -> dict[str, str]:
            found = dict(rendered(generation, leave_out)) | shared
            if "vhosts/b.conf" in found:
                found["vhosts/b.conf"] += ending
            return found

        return files

    control.bring(make("include shared.conf;\n", {"shared.conf": ""}))
    held = control.bring(make("no_such_word on;\n", {"shared.conf": "# changed\n"})).held
    with pytest.raises(NginxError, match="what is new of b") as caught:
        control.bring(make("no_such_word on;\n", {}), may_hold=False)

    assert held["b"].serves == "last good"
    assert "no_such_word" in caught.value.lines[0]
    assert get(port, host="b.example")[0] == 200


@pytest.mark.nginx
def test_what_all_share_is_refused_as_a_whole(
    control: NginxControl, bring: Callable[[str], Any], stack_from: Callable[[str], Stack], free_port: Callable[[], int]
) -> None:
    """What served goes on, and the refused files are kept for the eye."""
    text = PLAIN.format(name="a", port=free_port(), more="")
    first = bring(text)
    good = maker(stack_from(BASE + text), control.paths, control.nginx, control.user)

    def bad(generation: str, leave_out: frozenset[str]) -> dict[str, str]:
        files = dict(good(generation, leave_out))
        return files | {"upstreams.conf": "upstream {"}

    with pytest.raises(NginxError) as caught:
        control.bring(bad)

    assert "upstreams.conf:" in caught.value.lines[0]
    assert control.generation == first.name
    assert Path(f"{control.paths.nginx_generations}/000002.refused/upstreams.conf").exists()


@pytest.mark.nginx
def test_a_test_leaves_no_trace(
    control: NginxControl, stack_from: Callable[[str], Stack], free_port: Callable[[], int]
) -> None:
    """No pid file, no logs, no sockets, no temporary folders: not even of an nginx that never ran."""
    paths = control.paths
    text = PLAIN.format(name="a", port=free_port(), more="")
    text += '[app.shop.routes."/kept"]\ncache = true\n'
    files = maker(stack_from(BASE + text), paths, control.nginx, control.user)("000001", frozenset())
    before = sorted(Path(paths.root).parent.rglob("*"))

    assert try_files(paths, control.nginx, files) == []
    assert sorted(Path(paths.root).parent.rglob("*")) == before
