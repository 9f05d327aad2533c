"""Daemons, users and pid files."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cherrypy.process import identity
from cherrypy.process.identity import Daemonizer, DropPrivileges, PIDFile
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


def test_a_pid_file_of_another_process_is_left(tmp_path: Path) -> None:
    """A second instance that failed to start removed that of the first."""
    path = tmp_path / "site.pid"
    bus = Bus()
    PIDFile(bus, str(path)).subscribe()
    bus.start()
    path.write_text("4711\n")

    bus.exit()

    assert path.read_text() == "4711\n"


def test_a_pid_file_that_cannot_be_removed_does_not_fail_the_exit(tmp_path: Path) -> None:
    """Dropped privileges may not reach it; the process ended with 70."""
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    plugin = PIDFile(bus, str(tmp_path))

    plugin.exit()

    assert said[0].startswith("PID file could not be removed: [Errno 21] Is a directory")


def test_the_pid_file_is_written_once_a_run(tmp_path: Path) -> None:
    """And again when the bus starts again."""
    said: list[str] = []
    path = tmp_path / "site.pid"
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    plugin = PIDFile(bus, str(path))
    pid = os.getpid()

    plugin.start()
    plugin.start()
    plugin.exit()
    plugin.start()
    plugin.exit()

    written, removed = f"PID {pid} written to {str(path)!r}.", f"PID file removed: {str(path)!r}."
    assert said == [written, f"PID {pid} already written to {str(path)!r}.", removed, written, removed]


def test_who_starts_when() -> None:
    """The daemon before anything that has a thread, its pid after it, and privileges go last."""
    priorities = [plugin.start.priority for plugin in (Daemonizer, PIDFile, DropPrivileges)]

    assert priorities == [65, 70, 77]


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


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"uid": "nobody-of-that-name"}, KeyError, "uid: this system has no user 'nobody-of-that-name'"),
        ({"gid": "nobody-of-that-name"}, KeyError, "gid: this system has no group 'nobody-of-that-name'"),
        ({"umask": "077"}, TypeError, "umask is '077'; it has to be a number such as 0o027"),
    ],
)
def test_wrong_users_are_refused(arguments: dict[str, str], error: type[Exception], message: str) -> None:
    """When they are set, not when the privileges should go."""
    with pytest.raises(error, match=message):
        DropPrivileges(Bus(), **arguments)


def test_nothing_set_is_said_and_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a second start changes nothing more."""
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    monkeypatch.setattr(identity.os, "setuid", lambda uid: pytest.fail("changed"))
    plugin = DropPrivileges(bus)

    plugin.start()
    plugin.start()

    assert said == ["uid/gid not set", "umask not set"]
    assert plugin.finalized


def test_privileges_are_dropped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no way back, and the log says as whom it runs."""
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    calls: list[int] = []
    monkeypatch.setattr(identity.os, "setuid", calls.append)
    monkeypatch.setattr(identity.os, "umask", lambda umask: 0o22)
    plugin = DropPrivileges(bus, uid=1234, umask=0o77)

    plugin.start()
    plugin.start()

    who = f"uid: {os.getuid()} gid: {os.getgid()}"
    assert calls == [1234]
    assert said == [
        f"Started as {who}",
        f"Running as {who}",
        "umask old: 0o22, new: 0o77",
        f"Already running as {who}",
        "umask already set to: 0o77",
    ]


def test_a_daemon_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped bus that starts again would leave itself."""
    said: list[str] = []
    made: list[object] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    monkeypatch.setattr(identity.Witness, "fork", lambda witness: made.append("witness"))
    plugin = Daemonizer(bus, "/in", "/out", "/err")
    monkeypatch.setattr(plugin, "daemonize", lambda *arguments: made.append(arguments))

    plugin.start()
    plugin.start()

    assert made == ["witness", ("/in", "/out", "/err", bus.log)]
    assert plugin.finalized
    assert said[-1] == "Already daemonized."


def test_threads_are_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork leaves them behind, with the locks they hold."""
    said: list[tuple[str, int]] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append((msg, level)))
    plugin = Daemonizer(bus)
    monkeypatch.setattr(plugin, "daemonize", lambda *arguments: None)
    monkeypatch.setattr(identity.Witness, "fork", lambda witness: None)
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="early bird", daemon=True)
    thread.start()

    plugin.start()
    release.set()

    assert "active threads" in said[0][0]
    assert "early bird" in said[0][0]
    assert said[0][1] == 30


def test_the_defaults_of_a_daemon() -> None:
    """It reads and writes nothing."""
    plugin = Daemonizer(Bus())

    assert (plugin.stdin, plugin.stdout, plugin.stderr) == ("/dev/null",) * 3


DAEMON = """
import os, sys
from cherrypy.process import plugins, wspbus
bus = wspbus.Bus()
plugins.Daemonizer(bus, stdout={out!r}).subscribe()
plugins.PIDFile(bus, {pid!r}).subscribe()
parent = os.getpid()
bus.start()
mask = os.umask(0)
print('daemon', os.getpid() != parent, os.getsid(0) != os.getpid(), os.getppid() != parent, mask, flush=True)
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
    assert out.read_text() == "daemon True True True 0\n"
