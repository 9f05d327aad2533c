"""Listening sockets of every kind."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from cherrypy.httpd.listener import Listener, inherited_descriptors

from .conftest import Serve


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    """The process that made it is dead; the mode is the one asked for."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    listener = Listener(path, mode=0o660)
    listener.open(10)

    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    listener.close()
    assert not os.path.exists(path)


def test_a_living_socket_is_respected(tmp_path: Path) -> None:
    """Two servers on one path would steal each other's clients."""
    path = str(tmp_path / "s")
    first = Listener(path)
    first.open(10)
    with pytest.raises(OSError, match="somebody listens"):
        Listener(path).open(10)

    assert os.path.exists(path)
    first.close()


def test_a_file_that_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    """It may be anything."""
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(OSError, match="no socket"):
        Listener(str(path)).open(10)

    assert path.read_text() == "precious"


def test_a_socket_file_that_somebody_replaced_stays(tmp_path: Path) -> None:
    """Closing removes only our own."""
    path = str(tmp_path / "s")
    old = Listener(path)
    old.open(10)
    os.unlink(path)
    new = Listener(path)
    new.open(10)
    old.close()

    assert os.path.exists(path)
    new.close()


def test_an_abstract_socket(serve: Serve) -> None:
    """``@name`` leaves no file."""
    running = serve(bind=f"@kirsch-test-{os.getpid()}")
    with running.connect() as client:
        assert client.get().body == b"hello"


def test_an_inherited_descriptor(serve: Serve) -> None:
    """A listening socket that a parent has opened."""
    with socket.create_server(("127.0.0.1", 0)) as parent:
        running = serve(bind=parent.fileno())
        assert running.server.bind_addr == parent.getsockname()
        with running.connect() as client:
            assert client.get().body == b"hello"


def test_ipv6(serve: Serve) -> None:
    """Where the machine has it."""
    try:
        running = serve(bind=("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with running.connect() as client:
        assert client.get().body == b"hello"


def test_several_listeners(serve: Serve, tmp_path: Path) -> None:
    """One server, many doors."""
    path = str(tmp_path / "s")
    running = serve(bind=[Listener(("127.0.0.1", 0)), Listener(path)])
    with running.connect() as client:
        assert client.get().body == b"hello"
    with socket.socket(socket.AF_UNIX) as unix:
        unix.connect(path)
        unix.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert unix.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, []),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "7"}, [3, 4]),
        ({"LISTEN_FDS": "2"}, [3, 4]),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "8"}, []),
        ({"LISTEN_FDS": "-1", "LISTEN_PID": "7"}, []),
        ({"LISTEN_FDS": "\u00b2", "LISTEN_PID": "7"}, []),
    ],
)
def test_listen_fds(environ: dict[str, str], found: list[int]) -> None:
    """Only those meant for this process."""
    assert inherited_descriptors(environ, 7) == found
