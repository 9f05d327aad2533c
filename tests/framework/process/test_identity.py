"""Daemons, users and pid files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cherrypy.process import identity
from cherrypy.process.identity import DropPrivileges, PIDFile
from cherrypy.process.wspbus import Bus


def test_the_pid_file_lives_as_long_as_the_bus(tmp_path: Path) -> None:
    """Written at the start, removed at the exit."""
    path = tmp_path / "site.pid"
    bus = Bus()
    PIDFile(bus, str(path)).subscribe()

    bus.start()
    written = path.read_text()
    bus.exit()

    assert written == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_pid_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """Somebody else may have removed it."""
    path = tmp_path / "site.pid"
    bus = Bus()
    PIDFile(bus, str(path)).subscribe()

    bus.start()
    path.unlink()
    bus.exit()

    assert bus.state is bus.states.EXITING


def test_privileges_are_dropped_group_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards there is no right to; supplementary groups go, too."""
    done: list[tuple[str, object]] = []
    for name in ("setgid", "setgroups", "setuid", "umask"):
        monkeypatch.setattr(identity.os, name, lambda value, name=name: done.append((name, value)) or 0)
    plugin = DropPrivileges(Bus(), umask=0o077, uid=1234, gid=5678)

    plugin.start()

    assert done == [("setgid", 5678), ("setgroups", []), ("setuid", 1234), ("umask", 0o077)]
    assert plugin.finalized


def test_users_may_be_named() -> None:
    """And are numbers from then on."""
    plugin = DropPrivileges(Bus(), uid="root", gid="root")

    assert (plugin.uid, plugin.gid) == (0, 0)


def test_it_drops_after_the_servers_have_bound() -> None:
    """A privileged port needs the privilege."""
    assert DropPrivileges.start.priority == 77


DAEMON = """
import os, sys
from cherrypy.process import plugins, wspbus
bus = wspbus.Bus()
plugins.Daemonizer(bus, stdout={out!r}).subscribe()
plugins.PIDFile(bus, {pid!r}).subscribe()
parent = os.getpid()
bus.start()
print('daemon', os.getpid() != parent, os.getsid(0) != os.getpid(), os.getppid() != parent, flush=True)
bus.exit()
"""


def test_a_daemon_leaves_the_terminal(tmp_path: Path) -> None:
    """The parent exits with 0 at once; the daemon leads no session and writes to its file."""
    out = tmp_path / "out"

    done = subprocess.run(
        [sys.executable, "-c", DAEMON.format(out=str(out), pid=str(tmp_path / "pid"))],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (not out.exists() or not out.read_text().endswith("\n")):
        time.sleep(0.02)
    assert out.read_text() == "daemon True True True\n"
