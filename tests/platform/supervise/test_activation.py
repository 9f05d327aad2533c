"""Sockets as systemd passes them: descriptors from 3 on, named, to the process that they are meant for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import SuperviseError
from kirsch.spec import HostPaths
from kirsch.supervise.activation import take_activated
from kirsch.supervise.handover import Handover

# What systemd does between fork and exec.
EXEC = """
import os, sys
numbers = [int(one) for one in sys.argv[1].split(",")]
high = [os.dup2(number, 100 + at, inheritable=False) for at, number in enumerate(numbers)]
for at, number in enumerate(high):
    os.dup2(number, 3 + at)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""
PATHS = HostPaths("/srv/shop", "/run/kirsch/shop")


@pytest.fixture
def systemd(host: Any) -> Iterator[dict[str, socket.socket]]:
    """Its sockets by name: they stay open whatever the supervisor does."""
    opened = {}
    for name in ("control", "holding-web"):
        opened[name] = socket.socket(socket.AF_UNIX)
        opened[name].bind(f"{host.folder}/{name}.sock")
        opened[name].listen()
    yield opened
    for one in opened.values():
        one.close()


def start(host: Any, opened: dict[str, socket.socket]) -> None:
    numbers = [one.fileno() for one in opened.values()]
    argv = ["-m", "kirsch.supervise", "--root", host.paths.root, "--run", host.paths.run, "--no-nginx"]
    with open(f"{host.paths.log_dir}/supervisor.log", "ab") as log:
        host.process = subprocess.Popen(
            [sys.executable, "-c", EXEC, ",".join(map(str, numbers)), ":".join(opened), *argv],
            stdout=log, stderr=log, pass_fds=numbers, start_new_session=True,
        )  # fmt: skip


def ask(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(path)
        line.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_who_asks_while_no_supervisor_runs_waits(host: Any, systemd: dict[str, socket.socket]) -> None:
    """Verbs and requests, before the first start and after a death; an upgrade keeps the sockets."""
    host.write(host.state(workers=1))
    early: list[bytes] = []
    visitor = threading.Thread(target=lambda: early.append(ask(f"{host.folder}/holding-web.sock")))
    visitor.start()
    start(host, systemd)
    host.wait_until_ready(1)
    visitor.join()
    worker = host.workers()[0]["pid"]
    links = [os.readlink(path) for path in (host.paths.control_socket, host.paths.holding_socket("web"))]
    host.process.send_signal(signal.SIGKILL)
    host.process.wait()
    heard: list[dict[str, Any]] = []
    operator = threading.Thread(target=lambda: heard.append(host.control.call("ping")))
    operator.start()
    start(host, systemd)
    operator.join()
    second = host.process.pid
    host.wait_until_ready(1)
    host.control.call("upgrade")
    upgraded = host.wait_until_ready(1)
    status = host.stop()

    assert early[0].startswith(b"HTTP/1.1 200 ")
    assert links == [f"{host.folder}/control.sock", f"{host.folder}/holding-web.sock"]
    assert heard == [{"pid": second}]
    assert upgraded["pid"] == second
    assert upgraded["pools"][0]["workers"][0]["pid"] == worker
    assert status == 0
    assert not os.path.lexists(host.paths.control_socket)
    assert Path(f"{host.folder}/control.sock").is_socket()


def test_what_is_meant_for_another_process_is_left_alone() -> None:
    """A child that inherited the variables has no descriptors; and nobody inherits them from us."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "control:holding-web", "HOME": "/"}

    assert take_activated(environ, PATHS) == {}
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    ("name", "kind", "listens", "message"),
    [
        ("admin", socket.AF_UNIX, True, "FileDescriptorName=admin: allowed: control, holding-POOL"),
        ("control", socket.AF_INET, True, "ListenStream=/A/PATH"),
        ("control", socket.AF_UNIX, False, "ListenStream=/A/PATH"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, kind: int, listens: bool, message: str
) -> None:
    """With what a unit has to say instead."""
    with socket.socket(kind) as passed:
        passed.bind(("127.0.0.1", 0) if kind == socket.AF_INET else str(tmp_path / "s"))
        if listens:
            passed.listen()
        monkeypatch.setattr("kirsch.supervise.activation.FIRST", passed.fileno())
        with pytest.raises(SuperviseError, match=message):
            take_activated({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": name}, PATHS)


def test_a_socket_of_another_path_gets_a_link(tmp_path: Path) -> None:
    """In the place of what a dead supervisor has left; one that is there already needs none."""
    wanted, address = tmp_path / "control.sock", str(tmp_path / "systemd.sock")
    wanted.write_text("left")
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(address)
        passed.listen()
        first = Handover(sockets={str(wanted): os.dup(passed.fileno())}).socket(str(wanted))
        second = Handover(sockets={address: os.dup(passed.fileno())}).socket(address)

    assert first is not None
    assert second is not None
    first.close()
    second.close()
    assert os.readlink(wanted) == address
    assert Path(address).is_socket()
