"""An agent and its coordinator, with a stand-in for OpenSSH between them that runs everything here."""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import kirsch
from kirsch.errors import DeployError, HostUnreachable, LockHeld
from kirsch.release.hosts.remote import Remote
from kirsch.release.hosts.ssh import Ssh
from kirsch.spec import Host

Start = Callable[[str], Remote]
TOP = Path(kirsch.__file__).parents[2]
CODE = f"{TOP / 'platform'}:{TOP / 'framework'}:{sysconfig.get_path('purelib')}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start agents; those that still run at the end are hung up on."""
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nfor last; do :; done\nexec /bin/sh -c "$last"\n')
    program.chmod(0o755)
    remotes = []

    def start(name: str, heard: Callable[[Mapping[str, Any]], None] = lambda event: None) -> Remote:
        ssh = Ssh(Host(name=name), str(tmp_path), str(program))
        remotes.append(Remote(ssh, sys.executable, CODE, heard, tmp_path / f"{name}.log"))
        return remotes[-1]

    yield start
    for remote in remotes:
        remote.close()


def wait_until_gone(path: Path) -> bool:
    """Wait for a file to go."""
    deadline = time.monotonic() + 30
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not path.exists()


def test_lock_is_that_of_the_coordinator_and_ends_with_it(start: Start, tmp_path: Path) -> None:
    """Who is refused reads who deploys, from where; an agent whose input ends gives the lock back."""
    root = tmp_path / "root"
    first, second = start("web1"), start("web2")
    first.call("lock", root=str(root), who="ann@desk", verb="kirsch deploy")
    with pytest.raises(LockHeld) as caught:
        second.call("lock", root=str(root), who="bob@desk", verb="kirsch deploy")
    held = (root / "deploy.lock").exists()
    first.close()

    assert held
    assert "ann@desk is deploying here: `kirsch deploy`" in str(caught.value)
    assert caught.value.host == "web2"
    assert caught.value.holder["who"] == "ann@desk"
    assert not (root / "deploy.lock").exists()


def test_lock_of_a_killed_agent_is_taken_over(start: Start, tmp_path: Path) -> None:
    """At once: its process is gone."""
    root = tmp_path / "root"
    first, second = start("web1"), start("web2")
    first.call("lock", root=str(root), who="ann@desk", verb="kirsch deploy")
    os.kill(int((root / "deploy.lock").read_text().partition('"pid":')[2].partition(",")[0]), signal.SIGKILL)
    first.session.process.wait(30)
    taken = second.call("lock", root=str(root), who="bob@desk", verb="kirsch deploy")

    assert taken == {"took_over": "ann@desk"}
    with pytest.raises(HostUnreachable):
        first.call("history", root=str(root))


def test_agent_told_to_end_gives_the_lock_back(start: Start, tmp_path: Path) -> None:
    """SIGTERM, as when the machine goes down."""
    root = tmp_path / "root"
    remote = start("web1")
    remote.call("lock", root=str(root), who="ann@desk", verb="kirsch deploy")
    os.kill(int((root / "deploy.lock").read_text().partition('"pid":')[2].partition(",")[0]), signal.SIGTERM)

    assert wait_until_gone(root / "deploy.lock")


def test_error_comes_as_what_it_was(start: Start, tmp_path: Path) -> None:
    """A stack that cannot be read is said with its file; the agent goes on."""
    remote = start("web1")
    words = {"deploy": {}, "listen": {}, "port_policy": "exact", "admin": "127.0.0.1:9180"}
    host = {"name": "web1", "root": str(tmp_path / "root")}
    asked = {"content": "", "host": host, "inventory": words, "wheels": "", "release": "r1", "who": "ann@desk"}
    with pytest.raises(DeployError, match=r"none\.toml: cannot be read"):
        remote.call("plan", source=str(tmp_path / "none.toml"), **asked)

    assert remote.call("history", root=str(tmp_path / "root")) == []


def test_step_before_the_plan_is_refused(start: Start) -> None:
    """Nothing is done that nobody has planned."""
    with pytest.raises(DeployError, match="nothing was planned"):
        start("web1").call("stage", name="roll")


def test_no_agent_no_conversation(start: Start, tmp_path: Path) -> None:
    """What the host says instead is in the error."""
    ssh = Ssh(Host(name="web1"), str(tmp_path), str(tmp_path / "ssh"))
    with pytest.raises(HostUnreachable) as caught:
        Remote(ssh, sys.executable, "/nowhere", lambda event: None, tmp_path / "log")

    assert "No module named" in caught.value.output
