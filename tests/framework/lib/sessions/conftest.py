"""Pages with a session, the stores to keep it in, and servers of the tests' own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import sessions


class Pages:
    """A page for each thing that can be done with a session."""

    @cherrypy.expose
    def index(self) -> str:
        """Count visits."""
        cherrypy.session["n"] = cherrypy.session.get("n", 0) + 1
        return str(cherrypy.session["n"])

    @cherrypy.expose
    def read(self) -> str:
        """Tell the count."""
        return str(cherrypy.session.get("n"))

    @cherrypy.expose
    def regenerate(self) -> str:
        """Change the id."""
        cherrypy.session.regenerate()
        return str(cherrypy.session.id)

    @cherrypy.expose
    def regenerate_by_tool(self) -> str:
        """Change the id, as the manual says."""
        cherrypy.tools.sessions.regenerate()
        return str(cherrypy.session.id)

    @cherrypy.expose
    def expire(self) -> str:
        """Let the client forget."""
        sessions.expire()
        return "gone"

    @cherrypy.expose
    def fail(self) -> str:
        """Break down with the lock held."""
        cherrypy.session["n"] = 0
        raise RuntimeError

    @cherrypy.expose
    def refuse(self) -> str:
        """Answer 403, with something to remember."""
        cherrypy.session["n"] = 70
        raise cherrypy.HTTPError(403)

    @cherrypy.expose
    def save_early(self) -> str:
        """Be done with the session before the page is."""
        cherrypy.session["n"] = 50
        cherrypy.session.save()
        return str(cherrypy.session.locked)

    @cherrypy.expose
    def release_early(self) -> str:
        """Give the lock back, but not the session."""
        cherrypy.session.get("n")
        cherrypy.session.release_lock()
        cherrypy.session["late"] = True
        return str(cherrypy.session.locked)

    @cherrypy.expose
    def delete(self) -> str:
        """Destroy the session after it was read."""
        cherrypy.session.get("n")
        cherrypy.session.delete()
        return "deleted"

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def stream(self) -> Iterator[str]:
        """Use the session while the body is sent."""
        cherrypy.session["n"] = 10
        yield "a"
        cherrypy.session["n"] = 11

    @cherrypy.expose
    def lazily(self) -> Iterator[str]:
        """Use the session in a generator that is collected."""
        cherrypy.session["n"] = 20
        yield "a"


@pytest.fixture
def pages() -> Pages:
    """A root object."""
    return Pages()


STORES = (sessions.RamSession, sessions.FileSession, sessions.RedisSession, sessions.MemcachedSession)
SET_BY_USE = ("storage_path", "_is_set_up", "url", "servers", "cache", "clean_thread")


@pytest.fixture(autouse=True)
def fresh_stores() -> Iterator[None]:
    """Stop the monitors that sessions start, and forget what is in memory and what was set up."""
    before = [{name: vars(store)[name] for name in SET_BY_USE if name in vars(store)} for store in STORES]
    yield
    for store, settings in zip(STORES, before, strict=True):
        thread = vars(store).get("clean_thread")
        if thread is not None:
            thread.stop()
            thread.unsubscribe()
        for name in SET_BY_USE:
            if name in settings:
                setattr(store, name, settings[name])
            elif name in vars(store):
                delattr(store, name)
    sessions.RamSession.cache.clear()
    sessions.RamSession.locks.clear()
    sessions.FileSession._storage_paths.clear()


def start(command: list[str], stream: str, ready: str) -> subprocess.Popen[str]:
    """Start a server and wait until it says, on *stream*, that it is ready."""
    process = subprocess.Popen(command, text=True, **{stream: subprocess.PIPE})  # type: ignore[call-overload]
    lines = getattr(process, stream)
    for line in lines:
        if ready in line.lower():
            threading.Thread(target=lines.read, daemon=True).start()
            return process
    raise AssertionError(f"{command[0]} did not start: status {process.wait(5)}")


def end(process: subprocess.Popen[str]) -> None:
    """End a server that ``start`` started."""
    process.terminate()
    process.wait(10)


def binary(name: str) -> str:
    """The path of a server's program; skips the test without it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def start_redis(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start Redis on a Unix socket in *folder*; return (process, url)."""
    pytest.importorskip("redis")
    path = folder / "s"
    command = [binary("redis-server"), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
    return start(command, "stdout", "ready to accept connections"), f"unix://{path}"


def start_memcached(address: str) -> subprocess.Popen[str]:
    """Start memcached on *address*: a port of 127.0.0.1, or the path of a Unix socket."""
    pytest.importorskip("memcache", reason="python-memcached is not installed")
    where = ["-s", address, "-a", "0777"] if "/" in address else ["-l", "127.0.0.1", "-p", address]
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    return start([binary("memcached"), *user, *where, "-vv"], "stderr", "server listening")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of this module's own."""
    process, url = start_redis(tmp_path_factory.mktemp("redis"))
    yield url
    end(process)


@pytest.fixture(scope="module")
def memcached_servers() -> Iterator[list[str]]:
    """A memcached of this module's own, on TCP."""
    port = free_port()
    process = start_memcached(str(port))
    yield [f"127.0.0.1:{port}"]
    end(process)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Any]:
    """What starts servers for one test: ``redis()`` -> url, ``memcached(address)``; ``end()`` ends the last."""
    running: list[subprocess.Popen[str]] = []

    class Servers:
        """What is started here ends with the test."""

        free_port = staticmethod(free_port)

        def redis(self) -> str:
            process, url = start_redis(tmp_path)
            running.append(process)
            return url

        def memcached(self, address: str) -> None:
            running.append(start_memcached(address))

        def end(self) -> None:
            end(running.pop())

    yield Servers()
    for process in running:
        end(process)


@pytest.fixture
def silent_server() -> Iterator[tuple[str, int]]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()


@pytest.fixture
def store_settings(request: Any, tmp_path: Path) -> dict[str, Any]:
    """The settings of the tool for one kind of store, named by the (indirect) parameter."""
    kind = request.param
    settings: dict[str, Any] = {"sessions__on": True, "sessions__storage_type": kind, "sessions__clean_freq": 0}
    if kind == "file":
        settings["sessions__storage_path"] = str(tmp_path / "made" / "for it")
    elif kind == "redis":
        settings["sessions__url"] = request.getfixturevalue("redis_url")
    elif kind == "memcached":
        settings["sessions__servers"] = request.getfixturevalue("memcached_servers")
    return settings


ALL_STORES = ["ram", "file", "redis", "memcached"]


@pytest.fixture
def browser(serve: Callable[..., Any], pages: Pages, store_settings: dict[str, Any]) -> Any:
    """A site with sessions in one kind of store."""
    return serve(pages, **store_settings)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try what takes a ``browser`` with every store."""
    if "store_settings" in metafunc.fixturenames:
        metafunc.parametrize("store_settings", ALL_STORES, indirect=True)
