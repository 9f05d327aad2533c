"""Listening sockets of every kind."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from cherrypy.httpd.listener import Listener, inherited_descriptors, named_descriptors

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


@pytest.mark.parametrize("mode", [None, 0o600, 0o666])
def test_a_socket_file_has_its_owner_and_mode(tmp_path: Path, mode: int | None) -> None:
    """User and group, or one of them; without a mode the umask's."""
    path = str(tmp_path / "s")
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    mask = os.umask(0o027)
    try:
        listener = Listener(path, mode=mode, owner=owner)
        listener.open(10)
    finally:
        os.umask(mask)
    found = os.stat(path)
    listener.close()

    assert (found.st_uid, found.st_gid) == owner
    assert stat.S_IMODE(found.st_mode) == (0o750 if mode is None else mode)
    assert os.umask(mask) == mask


def test_an_owner_that_may_not_be_given_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the path; no file is left behind that nobody may use."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.chown", refuse)
    listener = Listener(str(tmp_path / "s"), owner=(12345, -1))
    with pytest.raises(PermissionError, match=r"cannot listen on .*/s: Operation not permitted"):
        listener.open(10)

    assert not (tmp_path / "s").exists()


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


def test_several_inherited_descriptors_of_all_kinds(serve: Serve, tmp_path: Path) -> None:
    """TCP, a path, an abstract name: each says where it is."""
    name = f"kirsch-inherited-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        unix.bind(str(tmp_path / "s"))
        abstract.bind(f"\0{name}")
        running = serve(bind=[Listener(one.fileno()) for one in (tcp, unix, abstract)])

        assert [listener.bound for listener in running.server.listeners] == [
            tcp.getsockname(),
            str(tmp_path / "s"),
            f"@{name}",
        ]
        for target in (tcp.getsockname(), str(tmp_path / "s"), f"\0{name}"):
            with socket.socket(socket.AF_INET if isinstance(target, tuple) else socket.AF_UNIX) as client:
                client.connect(target)
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")

                assert client.recv(12) == b"HTTP/1.1 200"
    running.server.stop(5)
    assert (tmp_path / "s").exists()  # whose it is


def test_descriptors_that_are_no_listening_sockets_are_named(tmp_path: Path) -> None:
    """A file, a datagram socket, a connection, nothing at all."""
    left, right = socket.socketpair()
    with (tmp_path / "f").open("w") as file, socket.socket(type=socket.SOCK_DGRAM) as datagram, left, right:
        for descriptor, said in [
            (file.fileno(), "is no socket"),
            (datagram.fileno(), "is no TCP or Unix stream socket"),
            (left.fileno(), "is a connection"),
            (99_999, "is no socket: Bad file descriptor"),
        ]:
            with pytest.raises(OSError, match=f"descriptor {descriptor} {said}"):
                Listener(descriptor).open(10)


def test_ipv6_and_ipv4_on_one_socket(serve: Serve) -> None:
    """``::`` is every interface of both."""
    try:
        running = serve(bind=("::", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    port = running.server.bind_addr[1]  # type: ignore[index]
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")

            assert client.recv(12) == b"HTTP/1.1 200"


def test_servers_share_a_port_if_all_ask_for_it(serve: Serve) -> None:
    """Both get connections; whoever does not ask gets none of the port."""
    first = serve(bind=[Listener(("127.0.0.1", 0), reuse_port=True)])
    address = first.server.bind_addr
    second = serve(bind=[Listener(address, reuse_port=True)])

    with pytest.raises(OSError, match="Address already in use"):
        Listener(address).open(10)
    for _ in range(200):  # spread by a hash of the client's port
        if first.server.stats().requests and second.server.stats().requests:
            break
        with first.connect() as client:
            assert client.get().body == b"hello"

    assert first.server.stats().requests > 0
    assert second.server.stats().requests > 0


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


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:admin"}, [(3, "web"), (4, "admin")]),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:web"}, [(3, "web"), (4, "web")]),
        ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "web"}, [(3, "unknown"), (4, "unknown")]),
        ({"LISTEN_FDS": "1"}, [(3, "unknown")]),
        ({"LISTEN_FDNAMES": "web"}, []),
        ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "LISTEN_PID": "8"}, []),
    ],
)
def test_names_of_listen_fds(environ: dict[str, str], found: list[tuple[int, str]]) -> None:
    """In the order of the descriptors; a list of another length names none."""
    assert named_descriptors(environ, 7) == found
