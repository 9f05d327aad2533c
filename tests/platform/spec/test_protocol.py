"""Who may be spoken to in the uwsgi protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from kirsch.errors import SpecError
from kirsch.spec import Stack, load_stack

BASE = '[stack]\nname = "x"\n[app.shop]\nentry = "a:b"\n'
SPOKEN = '[pool.web]\nengine = "uwsgi"\nprotocol = "uwsgi"\n'
OTHER = '[app.next]\nentry = "a:b"\npool = "next"\n[pool.next]\n'


def load(folder: Path, text: str) -> Stack:
    """The stack of *text*."""
    file = folder / "kirsch.toml"
    file.write_text(text, encoding="utf-8")
    return load_stack(file)


WRONG = {
    "another engine": (BASE + '[pool.web]\nprotocol = "uwsgi"\n', "pool.web.protocol"),
    "an unknown one": (BASE + '[pool.web]\nprotocol = "fastcgi"\n', "pool.web.protocol"),
    "kept answers": (BASE + '[app.shop.routes."/a"]\ncache = true\n' + SPOKEN, 'app.shop.routes."/a".cache'),
    "a canary that speaks otherwise": (
        BASE + 'canary = { app = "next", percent = 5 }\n' + SPOKEN + OTHER,
        "app.shop.canary.app",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named(tmp_path: Path, case: str) -> None:
    """With its key, and nothing else."""
    text, key = WRONG[case]
    with pytest.raises(SpecError) as caught:
        load(tmp_path, text)

    assert [problem.key for problem in caught.value.problems] == [key]


def test_a_copy_may_be_spoken_to_otherwise(tmp_path: Path) -> None:
    """It has a location of its own."""
    stack = load(tmp_path, BASE + 'mirror = { app = "next" }\n' + SPOKEN + OTHER)

    assert (stack.pools["web"].protocol, stack.pools["next"].protocol) == ("uwsgi", "http")
