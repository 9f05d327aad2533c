"""Server objects on the bus."""

from __future__ import annotations

import socket
import threading
import warnings

import pytest

from cherrypy.process import servers
from cherrypy.process.servers import ServerAdapter, _safe_wait
from cherrypy.process.wspbus import Bus, ChannelFailures


class Fake:
    """A server object without a server."""

    bound_when_ready = True
    socket = None

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.ready = False
        self.stopped = threading.Event()
        self.starts = 0

    def start(self) -> None:
        self.starts += 1
        self.stopped.clear()
        if self.failure and self.starts == 1:
            raise self.failure
        self.ready = True
        self.stopped.wait(10)

    def stop(self) -> None:
        self.ready = False
        self.stopped.set()


class Listening(Fake):
    """Binds for real, but only after it was said to be ready."""

    bound_when_ready = False

    def __init__(self) -> None:
        super().__init__()
        self.socket = None

    def start(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        super().start()

    def stop(self) -> None:
        self.socket.close()
        self.socket = None
        super().stop()


def test_a_server_lives_between_start_and_stop() -> None:
    """In a thread of its own; both times it is said."""
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    fake = Fake()
    adapter = ServerAdapter(bus, fake, ("127.0.0.1", 0))
    adapter.subscribe()

    bus.start()
    assert adapter.running
    assert fake.ready
    bus.exit()

    assert not adapter.running
    assert "Serving on http://127.0.0.1:0" in said
    assert f"HTTP Server {fake} shut down" in said


def test_starting_twice_is_said() -> None:
    """And nothing else."""
    said: list[str] = []
    bus = Bus()
    adapter = ServerAdapter(bus, Fake(), "/run/a.sock")
    bus.subscribe("log", lambda msg, level: said.append(msg))
    adapter.start()

    adapter.start()
    adapter.stop()
    adapter.stop()

    assert "Already serving on socket file: /run/a.sock" in said
    assert said[-1].endswith("already shut down")


def test_a_server_that_cannot_start_fails_the_start() -> None:
    """With its own exception, and the bus ends."""
    bus = Bus()
    ServerAdapter(bus, Fake(OSError("no such address")), ("127.0.0.1", 0)).subscribe()

    with pytest.raises(ChannelFailures, match="no such address"):
        bus.start()

    assert bus.state is bus.states.EXITING


def test_a_server_that_fails_later_ends_the_bus() -> None:
    """The error is kept as interrupt."""
    bus = Bus()
    fake = Fake()
    adapter = ServerAdapter(bus, fake, "/run/a.sock")
    adapter.subscribe()
    bus.start()
    error = KeyboardInterrupt()

    def interrupted() -> None:
        raise error

    fake.start = interrupted
    threading.Thread(target=adapter._start_http_thread).start()
    bus.wait(bus.states.EXITING)

    assert adapter.interrupt is error


def test_an_interrupted_start_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the server gets ready."""
    fake = Fake()
    adapter = ServerAdapter(Bus(), fake, "/run/a.sock")

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapter, "wait", interrupted)

    with pytest.raises(KeyboardInterrupt):
        adapter.start()

    assert fake.stopped.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("HTTPServer")]


def test_no_server_object_is_an_error() -> None:
    """Said before anything is bound."""
    with pytest.raises(ValueError, match="No HTTP server"):
        ServerAdapter(Bus()).start()


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the server object gets to try."""
    monkeypatch.setattr(servers.Timeouts, "free", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(OSError, match=f"Port {port} not free on '127.0.0.1'"):
            ServerAdapter(Bus(), Fake(), ("127.0.0.1", port)).start()


def test_a_foreign_server_is_probed() -> None:
    """Its word that it is ready is not enough; the ephemeral port is the bound one meanwhile."""
    adapter = ServerAdapter(Bus(), Listening(), ("127.0.0.1", 0))

    adapter.start()
    host, port = adapter.bound_addr
    adapter.stop()

    assert (host, port > 0) == ("127.0.0.1", True)
    assert adapter.bound_addr == ("127.0.0.1", 0)


def test_a_restart_uses_the_same_object() -> None:
    """Stop and start."""
    fake = Fake()
    adapter = ServerAdapter(Bus(), fake, "/run/a.sock")
    adapter.start()

    adapter.restart()

    assert fake.starts == 2
    adapter.stop()


class PortendTimeout(OSError):
    """What the package that CherryPy used raises."""


PortendTimeout.__name__ = "Timeout"
PortendTimeout.__module__ = "portend"


def test_all_interfaces_cannot_be_verified() -> None:
    """A time-out there is a warning, elsewhere an error."""
    with pytest.warns(UserWarning, match="Unable to verify that the server is bound on 8080"):
        with _safe_wait("0.0.0.0", 8080):
            raise PortendTimeout
    with pytest.raises(PortendTimeout), _safe_wait("127.0.0.1", 8080):
        raise PortendTimeout
    with pytest.raises(ZeroDivisionError), _safe_wait("0.0.0.0", 8080):
        raise ZeroDivisionError
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with _safe_wait("0.0.0.0", 8080):
            pass
