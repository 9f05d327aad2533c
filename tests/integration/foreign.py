"""The same site under servers of others, each a real one in a process of its own."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cherrypy

BIN = Path(sys.executable).parent
GUNICORN = [sys.executable, "-m", "gunicorn", "-b", "unix:socket", "--access-logfile", "access.log"]
UWSGI = [str(BIN / "uwsgi"), "--http-socket", "socket", "--die-on-term", "--wsgi-file", "shop.py"]
UWSGI += ["--binary-path", sys.executable]  # what it replaces itself with
APACHE = ["/usr/sbin/apache2", "-DFOREGROUND"]
APACHE_MODULES = Path("/usr/lib/apache2/modules")
# {name: (command, is the site loaded before the workers are forked)}
FORKING: dict[str, tuple[list[str], bool]] = {
    "gunicorn": ([*GUNICORN, "-w", "2", "shop"], False),
    "gunicorn threads": ([*GUNICORN, "-w", "2", "-k", "gthread", "--threads", "4", "shop"], False),
    "gunicorn gevent": ([*GUNICORN, "-w", "2", "-k", "gevent", "shop"], False),
    "gunicorn preload": ([*GUNICORN, "-w", "2", "--preload", "shop"], True),
    "uwsgi": ([*UWSGI, "--master", "-p", "2"], True),
    "uwsgi lazy": ([*UWSGI, "--master", "-p", "2", "--lazy-apps", "--threads", "4"], False),
    "mod_wsgi": ([*APACHE, "-C", "Define processes 2"], False),
}
SINGLE: dict[str, list[str]] = {
    "uwsgi alone": UWSGI,
    "waitress": [sys.executable, "-m", "waitress", "--unix-socket=socket", "shop:application"],
    "wsgiref": [sys.executable, "host.py"],
    "module in a thread": [sys.executable, "host.py", "thread"],
}

# As docs/servers.md has it, and what Debian's configuration has around that. The daemons may not be root.
APACHE_CONFIGURATION = """
ServerRoot ${here}
ServerName localhost
PidFile ${here}/pid
DefaultRuntimeDir ${here}
Mutex file:${here}
ErrorLog ${here}/screen
Listen 127.0.0.1:${port}
User www-data
Group www-data
LoadModule mpm_event_module MODULES/mod_mpm_event.so
LoadModule authz_core_module MODULES/mod_authz_core.so
LoadModule wsgi_module MODULES/mod_wsgi.so
WSGISocketPrefix ${here}/wsgi
WSGIDaemonProcess shop processes=${processes} threads=4 home=${here} python-path=${here}/packages
WSGIScriptAlias / ${here}/shop.py process-group=shop application-group=%{GLOBAL}
<Directory ${here}>
  Require all granted
</Directory>
""".replace("MODULES", str(APACHE_MODULES))

# A host in the manner of mod_wsgi: it loads the site (in any thread), serves it, and ends with the interpreter.
HOST = """
import importlib, signal, socketserver, sys, threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

class Server(WSGIServer):
    address_family = socketserver.UnixStreamServer.address_family
    def server_bind(self):
        socketserver.UnixStreamServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 80
        self.setup_environ()

class Handler(WSGIRequestHandler):
    def address_string(self):
        return "192.0.2.1"
    def __init__(self, request, address, server):
        super().__init__(request, ("192.0.2.1", 1), server)

server = Server("socket", Handler)
signal.signal(signal.SIGTERM, lambda number, frame: threading.Thread(target=server.shutdown).start())

def serve():
    server.set_app(importlib.import_module("shop").application)
    server.serve_forever()

if sys.argv[1:]:
    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
else:
    serve()
"""


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Site:
    """A running server, and what its site wrote down."""

    process: subprocess.Popen[bytes]
    directory: Path
    jar: dict[str, str] = field(default_factory=dict)
    answered: int = 0
    port: int = 0  # where there is no socket in the directory

    @property
    def address(self) -> str:
        """The server's socket."""
        return str(self.directory / "socket")

    def connect(self) -> socket.socket:
        """A new connection."""
        if self.port:
            return socket.create_connection(("127.0.0.1", self.port), 30)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(self.address)
        return sock

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = self.connect()
        try:
            connection.request(method, path, body, {**self.jar, **headers})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            body = answer.read()
            self.answered += 1
            return Answer(answer.status, found, body)
        finally:
            connection.close()

    def workers(self, count: int) -> set[str]:
        """The ids of *count* processes that answer."""
        seen: set[str] = set()

        def see() -> bool:
            seen.add(self.ask("/who").body.decode())
            return len(seen) >= count

        until(see, lambda: f"{count} workers; {seen} have answered\n{self.screen}")
        return seen

    @property
    def said(self) -> list[str]:
        """Lines 'what pid' that the site wrote."""
        path = self.directory / "said"
        return path.read_text().splitlines() if path.exists() else []

    def wait_until_said(self, *lines: str) -> None:
        """Return when all *lines* have been written."""
        until(lambda: set(lines) <= set(self.said), lambda: f"{lines}; {self.said}\n{self.screen}")

    @property
    def screen(self) -> str:
        """What was written to stdout and stderr."""
        return (self.directory / "screen").read_text(errors="replace")

    def stop(self) -> int:
        """Ask the server to end as its system does; its status comes back."""
        if self.process.poll() is None:
            self._wait_until_idle()
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def _wait_until_idle(self) -> None:
        """A worker of uWSGI does not hear of the end while it loads the site, and calls nobody if it is busy then."""
        arguments: Any = self.process.args
        if "--lazy-apps" in arguments:
            self.workers(2)
        if "--http-socket" in arguments:
            until(lambda: self.screen.count("=> generated") >= self.answered, lambda: self.screen)
            # the line is written a moment before the worker says that it is free
            until(lambda: all(_sleeps(task) for task in _tasks(self.process.pid)), lambda: self.screen)


def _tasks(pid: int) -> list[Path]:
    """All threads of a process and of its children."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return tasks + [task for child in children for task in _tasks(int(child))]


def _sleeps(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "S"


def until(is_so: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait for something in another process."""
    deadline = time.monotonic() + 60  # a machine that is busy elsewhere takes 25 s to load a site
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain for {what()}"
        time.sleep(0.02)


def what_lacks(command: list[str]) -> str:
    """Why *command* cannot be run on this machine; '' if it can."""
    if "gevent" in command and find_spec("gevent") is None:
        return "gevent is not installed"
    if command[: len(APACHE)] == APACHE:
        if not Path(APACHE[0]).exists():
            return "Apache is not installed"
        # the system's Python, not the one that runs this
        if not any(APACHE_MODULES.glob("mod_wsgi.so-3.1[1-9]")):
            return "no mod_wsgi for Python 3.11 or newer is installed"
    return ""


@contextmanager
def running(command: list[str], directory: Path, source: str) -> Iterator[Site]:
    """Serve the module with *source* by *command*; the server has ended afterwards."""
    with ExitStack() as stack:
        port = 0
        if command[: len(APACHE)] == APACHE:
            directory, port = stack.enter_context(_open_to_all()), _free_port()
            command = [*command, "-C", f"Define here {directory}", "-C", f"Define port {port}"]
            command += ["-f", str(directory / "apache.conf")]
        (directory / "shop.py").write_text(source)
        (directory / "host.py").write_text(HOST)
        environ = {**os.environ, "HOME": str(directory), "PYTHONUNBUFFERED": "1"}
        with (directory / "screen").open("wb") as screen:
            process = subprocess.Popen(
                command, cwd=directory, env=environ, stdout=screen, stderr=screen, stdin=subprocess.DEVNULL
            )
        site = Site(process, directory, port=port)
        try:
            until(lambda: _answers(site), lambda: f"{command}\n{site.screen}")
            yield site
        finally:
            try:
                site.stop()
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


@contextmanager
def _open_to_all() -> Iterator[Path]:
    """A directory with the framework in it, which Apache's own user may read and write."""
    with tempfile.TemporaryDirectory(prefix="kirsch-apache-") as made:
        directory = Path(made)
        directory.chmod(0o777)
        package = Path(cherrypy.__file__).parent
        shutil.copytree(package, directory / "packages" / "cherrypy", ignore=shutil.ignore_patterns("__pycache__"))
        (directory / "apache.conf").write_text(APACHE_CONFIGURATION)
        yield directory


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(site: Site) -> bool:
    assert site.process.poll() is None, site.screen
    with suppress(OSError, http.client.HTTPException):
        site.ask("/who")
        return True
    return False
