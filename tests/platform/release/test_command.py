"""Who runs the release command: whoever has to write what it makes."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kirsch.link.state import State
from kirsch.release.command import run_command
from kirsch.release.shell import LocalShell
from kirsch.spec import HostPaths, Stack
from kirsch.supervise.identity import Identities


@pytest.fixture
def paths() -> Iterator[HostPaths]:
    """A host that everybody may reach: pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="kc", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        made = HostPaths(root=f"{folder}/root", run=f"{folder}/run")
        os.makedirs(f"{made.releases}/r1")
        os.makedirs(made.shared)
        yield made


def state_of(stack: Stack, paths: HostPaths, **pool: Any) -> State:
    """A release of *stack*, with what its pool says besides."""
    web = msgspec.structs.replace(stack.pools["web"], **pool)
    app = msgspec.structs.replace(stack.apps["shop"], env={"SHOP_DB": "shop.db"})
    told = msgspec.structs.replace(stack, pools={"web": web}, apps={"shop": app})
    return State(stack=told, release="r1", release_dir=f"{paths.releases}/r1", python="/usr/bin/python3")


def run(command: str, state: State, paths: HostPaths) -> tuple[int, list[str]]:
    """Run it for good; return its status, and what was said."""
    said: list[str] = []
    return run_command(command, LocalShell(), state, paths, {}, said.append).status, said


@pytest.mark.skipif(os.getuid() != 0, reason="only root may run programs as other users")
def test_it_is_the_user_of_the_pool(stack: Stack, paths: HostPaths) -> None:
    """With that one's groups, in the release's folder, with the app's variables; what it makes belongs to that user."""
    os.chmod(paths.shared, 0o777)
    nobody = pwd.getpwnam("nobody")
    command = 'id -u; id -G; pwd; touch "$KIRSCH_SHARED/$SHOP_DB"'
    status, said = run(command, state_of(stack, paths, user="nobody"), paths)

    assert status == 0
    assert said == [str(nobody.pw_uid), str(nobody.pw_gid), f"{paths.releases}/r1"]
    assert Path(paths.shared, "shop.db").stat().st_uid == nobody.pw_uid


@pytest.mark.skipif(os.getuid() != 0, reason="only root may run programs as other users")
def test_where_nobody_is_named_it_is_whom_the_supervisor_chooses(
    stack: Stack, paths: HostPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same choice, by the same code; and it is said."""
    monkeypatch.setattr(Identities, "_problem_with", lambda *args: None)
    status, said = run("id -un", state_of(stack, paths), paths)

    assert status == 0
    assert said[0] == f"workers run as {said[1]}"
    assert said[1] != "root"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may run programs as other users")
def test_where_workers_are_root_it_is_too(stack: Stack, paths: HostPaths) -> None:
    """What keeps the other user out is said before the command runs, with its cure."""
    Path(paths.shared, "shop.db").touch(mode=0o600)
    os.chmod(f"{paths.releases}/r1", 0o700)
    status, said = run("id -un", state_of(stack, paths), paths)

    assert status == 0
    assert said[0].startswith("workers run as root: ")
    assert said[1] == "root"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may run programs as other users")
def test_a_user_that_is_not_there_is_told(stack: Stack, paths: HostPaths) -> None:
    """The command does not run at all: not as root instead."""
    said: list[str] = []
    state = state_of(stack, paths, user="nobody-at-all")
    ran = run_command("id -un", LocalShell(), state, paths, {}, said.append)

    assert ran.status == 127
    assert "nobody-at-all" in ran.output
    assert said == []
