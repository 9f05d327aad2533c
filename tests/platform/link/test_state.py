"""The state file: what a deploy writes and a supervisor reads."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from kirsch.link.state import State, load_state, state_to_json, write_whole
from kirsch.spec import App, Pool, Stack, Vhost, Workers
from kirsch.spec.size import Bytes


def make_state() -> State:
    stack = Stack(
        name="shop",
        apps={"shop": App(name="shop", entry="shop:Root")},
        pools={"web": Pool(name="web", workers=Workers(min=2, max=4), memory_soft=Bytes.parse("400MiB"))},
        vhosts={"main": Vhost(name="main", apps=("shop",))},
    )
    return State(stack=stack, release="r1", release_dir="/srv/releases/r1", python="/usr/bin/python3")


def test_a_state_comes_back_from_its_file(tmp_path: Path) -> None:
    """Stack, release and interpreter, sizes included."""
    path = tmp_path / "stack.json"
    write_whole(path, state_to_json(make_state()))

    assert load_state(path) == make_state()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new content has the mode that was asked for, and nothing else is left in the folder."""
    path = tmp_path / "stack.json"
    path.write_text("old")
    write_whole(path, b"new", 0o640)

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["stack.json"]


def test_a_state_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    """A full disk must not start half a stack."""
    path = tmp_path / "stack.json"
    path.write_bytes(state_to_json(make_state())[:-20])

    with pytest.raises(msgspec.MsgspecError):
        load_state(path)
