"""A restart in place: the program runs anew in the same process, and nobody who connects meanwhile is refused."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cherrypy.process.respawn import HELD_SOCKETS, held_sockets, hold_sockets

APPLICATION = """
import os, sys
import cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        return f"{os.getpid()} {os.environ.get('RUN', '0')}"

    @cherrypy.expose
    def again(self):
        os.environ["RUN"] = str(int(os.environ.get("RUN", "0")) + 1)
        cherrypy.engine.subscribe("after_request", cherrypy.engine.restart)
        return ""

run = int(os.environ.get("RUN", "0"))
config = {"engine.autoreload.on": False, "log.screen": False, "server.socket_port": 0}
if not run or sys.argv[2] == "same":
    config["server.second.socket_file"] = sys.argv[1]
cherrypy.config.update(config)
cherrypy.tree.mount(Root())
cherrypy.engine.signals.subscribe()
cherrypy.engine.start()
print(cherrypy.server.bound_addr[1], flush=True)
cherrypy.engine.block()
"""


def get(address: tuple[str, int] | str, path: str = "/") -> bytes:
    """The body of a page; b"" when the connection ended without an answer."""
    with socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(address)
        parts = []
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            while piece := client.recv(1000):
                parts.append(piece)
    return b"".join(parts).rpartition(b"\r\n\r\n")[2]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that restarts itself when asked to."""
    path = tmp_path / "website.py"
    path.write_text(APPLICATION)
    return path


def test_a_restart_refuses_nobody(program: Path) -> None:
    """On a port of the system's choice, which stays, and on a Unix socket, whose file stays."""
    unix = str(program.parent / "s")
    process = subprocess.Popen([sys.executable, program, unix, "same"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    refused: list[OSError] = []
    over = threading.Event()

    def knock(address: tuple[str, int] | str) -> None:
        while not over.is_set():
            try:
                get(address)
            except OSError as error:
                refused.append(error)

    try:
        port = int(process.stdout.readline())
        addresses: list[tuple[str, int] | str] = [("127.0.0.1", port), unix]
        knocking = [threading.Thread(target=knock, args=(address,)) for address in addresses]
        inode = os.stat(unix).st_ino
        for thread in knocking:
            thread.start()
        runs = []
        for _ in range(2):
            get(addresses[0], "/again")
            assert int(process.stdout.readline()) == port
            runs.append([get(address) for address in addresses])
        over.set()
        for thread in knocking:
            thread.join(30)
        same_file = os.stat(unix).st_ino == inode
    finally:
        over.set()
        process.terminate()
        status = process.wait(30)

    assert runs == [[f"{process.pid} {run}".encode()] * 2 for run in (1, 2)]
    assert refused == []
    assert same_file
    assert status == 0
    assert not os.path.exists(unix)


def test_what_nobody_takes_over_is_closed(program: Path) -> None:
    """The fresh run has one server less: who connects to it is refused, not left waiting."""
    unix = str(program.parent / "s")
    process = subprocess.Popen([sys.executable, program, unix, "less"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        before = get(unix)
        get(("127.0.0.1", port), "/again")
        assert int(process.stdout.readline()) == port
        end = time.monotonic() + 20
        is_refused = False
        while not is_refused and time.monotonic() < end:  # by the first turn of the fresh run's main loop
            with socket.socket(socket.AF_UNIX) as client:
                is_refused = client.connect_ex(unix) == errno.ECONNREFUSED
    finally:
        process.terminate()
        process.wait(30)

    assert is_refused
    assert before == f"{process.pid} 0".encode()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "x", '{"pid": 7}', '{"pid": 8, "sockets": {"a": 3}}', '{"pid": 7, "sockets": {"a": "b"}}'],
)
def test_words_that_are_not_for_this_process_hold_nothing(text: str) -> None:
    """Of another process, or of somebody else."""
    assert held_sockets({HELD_SOCKETS: text}, 7) == {}
    assert held_sockets({}, 7) == {}


def test_held_sockets_add_up() -> None:
    """Several servers hold theirs."""
    environ: dict[str, str] = {}
    hold_sockets(environ, 7, {"a:1": 5})
    hold_sockets(environ, 7, {"b:2": 6})

    assert held_sockets(environ, 7) == {"a:1": 5, "b:2": 6}
    assert held_sockets(environ, 8) == {}


def test_a_daemon_keeps_its_port_over_a_restart(program: Path) -> None:
    """It forks before its servers start, so the fresh run serves under another number than the one that was told."""
    pid_file = program.parent / "pid"
    text = program.read_text().replace(
        "cherrypy.engine.start()\n",
        "from cherrypy.process.plugins import Daemonizer, PIDFile\n"
        f"Daemonizer(cherrypy.engine).subscribe(); PIDFile(cherrypy.engine, {str(pid_file)!r}).subscribe()\n"
        "cherrypy.engine.start()\n",
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program.write_text(text.replace('"server.socket_port": 0', f'"server.socket_port": {port}'))
    subprocess.run([sys.executable, program, str(program.parent / "s"), "same"], check=True, timeout=30)

    def answer() -> bytes:
        with contextlib.suppress(ConnectionRefusedError):
            return get(("127.0.0.1", port))
        return b""

    def wait_for(run: bytes) -> bytes:
        end = time.monotonic() + 30
        while not (found := answer()).endswith(b" " + run):
            assert time.monotonic() < end
            time.sleep(0.02)
        return found

    first = wait_for(b"0")
    get(("127.0.0.1", port), "/again")
    second = wait_for(b"1")
    pid = int(second.split()[0])
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 30
    while pid_file.exists() and time.monotonic() < end:
        time.sleep(0.02)

    assert first.split()[0] != second.split()[0]
    assert not pid_file.exists()
