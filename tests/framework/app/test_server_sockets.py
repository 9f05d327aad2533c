"""The settings that say where a server listens, and to whom it listens."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cherrypy.app.server import Server
from cherrypy.app.server_settings import permissions
from cherrypy.process.wspbus import Bus

from .conftest import Client

PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"
REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def answer_to(address: Any, data: bytes) -> bytes:
    """Send *data* on a new connection, and read until the server closes."""
    with socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(address)
        client.sendall(data)
        parts = []
        try:
            while piece := client.recv(65536):
                parts.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(parts)


@pytest.mark.parametrize(("given", "mode"), [(0o640, 0o640), ("640", 0o640), ("0640", 0o640), ("0o640", 0o640)])
def test_a_mode_may_be_text(server: Server, client: Client, tmp_path: Path, given: Any, mode: int) -> None:
    """Octal, as for chmod."""
    server.socket_file = tmp_path / "s"
    server.socket_mode = given
    server.start()

    assert os.stat(tmp_path / "s").st_mode & 0o7777 == mode == permissions(given)


def test_the_owner_of_a_socket_file_by_name_or_number(server: Server, client: Client, tmp_path: Path) -> None:
    """User and group."""
    user, group = (pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name)
    for given_user, given_group in [(user, group), (os.geteuid(), os.getegid()), (str(os.geteuid()), None)]:
        server.httpserver = None
        server.socket_file = tmp_path / "s"
        server.socket_user, server.socket_group = given_user, given_group
        server.start()
        found = os.stat(tmp_path / "s")
        server.stop()

        assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())


@pytest.mark.parametrize("key", ["socket_user", "socket_group"])
def test_a_user_or_group_that_does_not_exist_is_named(server: Server, tmp_path: Path, key: str) -> None:
    """With its key."""
    server.socket_file = tmp_path / "s"
    setattr(server, key, "no-such-name")

    with pytest.raises(ValueError, match=rf"^server\.{key} is 'no-such-name', and this system has no such"):
        server.start()

    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("value", [["127.0.0.1"], "127.0.0.1, 10.0.0.0/8", ("127.0.0.0/8",)])
def test_proxy_protocol(server: Server, client: Client, value: Any) -> None:
    """Listed addresses have to send the header; it is not a request then."""
    server.proxy_protocol = value
    server.start()

    assert answer_to(server.bound_addr, PROXY + REQUEST).endswith(b"hello")
    assert answer_to(server.bound_addr, REQUEST) == b""


@pytest.mark.parametrize(("others", "answered"), [("refuse", False), ("plain", True)])
def test_others_than_the_listed_proxies(server: Server, client: Client, others: str, answered: bool) -> None:
    """Closed, or plain clients; never believed."""
    server.proxy_protocol = ["10.0.0.0/8"]
    server.proxy_protocol_others = others
    server.start()

    assert answer_to(server.bound_addr, REQUEST).endswith(b"hello") is answered
    assert b" 200 " not in answer_to(server.bound_addr, PROXY + REQUEST)


def test_without_the_setting_a_proxy_header_is_no_request(server: Server, client: Client) -> None:
    """The default: nobody may send one."""
    server.start()

    assert answer_to(server.bound_addr, PROXY + REQUEST).startswith(b"HTTP/1.1 400 ")


def test_proxies_on_a_unix_socket(server: Server, client: Client, tmp_path: Path) -> None:
    """``unix:`` lists them."""
    server.socket_file = tmp_path / "s"
    server.proxy_protocol = ["unix:"]
    server.start()

    assert answer_to(str(tmp_path / "s"), PROXY + REQUEST).endswith(b"hello")
    assert answer_to(str(tmp_path / "s"), REQUEST) == b""


def test_two_servers_share_a_port(server: Server, client: Client) -> None:
    """With ``reuse_port``; a third one without it is refused."""
    server.reuse_port = True
    server.start()
    second, third = Server(), Server()
    for one in (second, third):
        one.bus = Bus()
        one.socket_port = server.bound_addr[1]
    second.reuse_port = True
    second.start()
    with pytest.raises(OSError, match="not free"):
        third.start()

    assert answer_to(server.bound_addr, REQUEST).endswith(b"hello")
    second.stop()
    assert answer_to(server.bound_addr, REQUEST).endswith(b"hello")


def test_a_descriptor_is_served(server: Server, client: Client) -> None:
    """By its number; host and port are not looked at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.socket_port = 1
        server.socket_fd = listening.fileno()
        server.start()

        assert server.bound_addr == listening.getsockname()
        assert server.base() == server.description == f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert answer_to(listening.getsockname(), REQUEST).endswith(b"hello")


def test_a_descriptor_of_a_unix_socket_says_its_path(server: Server, client: Client, tmp_path: Path) -> None:
    """In the log and to ``cherrypy.url``."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        server.socket_fd = listening.fileno()
        server.start()

        assert server.bound_addr == server.base() == str(tmp_path / "s")
        assert server.description == f"socket file: {tmp_path / 's'}"


def test_a_name_that_was_not_passed_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """With those that were."""
    server.socket_fd = "admin"
    with pytest.raises(ValueError, match=r"^server\.socket_fd is 'admin', .* LISTEN_FDS is not set"):
        server.start()
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_FDNAMES", "web:api")
    with pytest.raises(ValueError, match=r"Names in LISTEN_FDNAMES: 'web', 'api'\.$"):
        server.start()

    assert not server.running


ACTIVATED = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
import cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        return "hello"

cherrypy.config.update({"engine.autoreload.on": False, "log.screen": False, **eval(sys.argv[1])})
cherrypy.tree.mount(Root())
cherrypy.engine.start()
print({name: one.httpserver._running.listeners[0].bound for name, one in
       {"site": cherrypy.server, **getattr(cherrypy, "servers", {})}.items()}, flush=True)
print(sorted(listener.address for listener in cherrypy.server.httpserver._running.listeners), flush=True)
sys.stdin.read()
cherrypy.engine.exit()
"""


@pytest.mark.parametrize(
    ("config", "of_site", "of_admin"),
    [
        ({}, [3, 4, 5], []),
        ({"server.socket_fd": "web"}, [3, 4], []),
        ({"server.admin.socket_fd": "admin"}, [3, 4], [5]),
        ({"server.socket_fd": "web", "server.admin.socket_fd": ["admin"]}, [3, 4], [5]),
    ],
)
def test_sockets_of_a_service_manager_by_name(
    tmp_path: Path, config: dict[str, Any], of_site: list[int], of_admin: list[int]
) -> None:
    """Two for the site, one for another server in the same process; none serves what the other asks for."""
    with (
        socket.create_server(("127.0.0.1", 0)) as web,
        socket.socket(socket.AF_UNIX) as web_2,
        socket.create_server(("127.0.0.1", 0)) as admin,
    ):
        web_2.bind(str(tmp_path / "web"))
        passed = [web, web_2, admin]
        wrapper = "import os, sys; [os.dup2(int(one), 60 + n) for n, one in enumerate(sys.argv[3:])]; "
        wrapper += (
            "[os.dup2(60 + n, 3 + n) for n in range(3)]; os.execv(sys.executable, [sys.executable, *sys.argv[1:3]])"
        )
        (tmp_path / "site.py").write_text(ACTIVATED)
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                wrapper,
                str(tmp_path / "site.py"),
                repr(config),
                *(str(one.fileno()) for one in passed),
            ],
            pass_fds=[one.fileno() for one in passed],
            env={**os.environ, "LISTEN_FDS": "3", "LISTEN_FDNAMES": "web:web:admin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            bound = eval(process.stdout.readline() or "{}")
            mine = eval(process.stdout.readline() or "[]")
            served = [one for number, one in enumerate(passed, 3) if number in mine + of_admin]
            answers = [answer_to(one.getsockname(), REQUEST) for one in served]
        finally:
            process.communicate(timeout=20)

        assert mine == of_site
        assert bound.get("admin") == (admin.getsockname() if of_admin else None)
        assert len(answers) == len(of_site + of_admin)
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
