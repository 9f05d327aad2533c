"""Server objects on the bus."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from cherrypy.process import servers
from cherrypy.process.servers import ServerAdapter
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


def test_a_server_that_returns_without_being_ready_is_an_error() -> None:
    """The start would wait for it for ever."""
    fake = Fake()
    fake.start = lambda: None

    with pytest.raises(RuntimeError, match=r"returned from start\(\) without being ready"):
        ServerAdapter(Bus(), fake, "/run/a.sock").start()


def test_the_order_of_start_and_stop() -> None:
    """Last to start, first to stop."""
    bus = Bus()
    adapter = ServerAdapter(bus, Fake(), ("127.0.0.1", 0))

    adapter.subscribe()

    assert bus._priorities == {("start", adapter.start): 75, ("stop", adapter.stop): 25}

    adapter.unsubscribe()

    assert bus.publish("start") == []


def test_the_thread_bears_a_name_and_keeps_the_process() -> None:
    """Whoever does not block on the bus still serves."""
    adapter = ServerAdapter(Bus(), Fake(), "/run/a.sock")

    adapter.start()
    (thread,) = (thread for thread in threading.enumerate() if thread.name.startswith("HTTPServer "))
    is_daemon = thread.daemon
    adapter.stop()
    thread.join(5)

    assert not is_daemon
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("address", "tls", "text"),
    [
        (None, False, "unknown interface (dynamic?)"),
        ("/run/a.sock", False, "socket file: /run/a.sock"),
        (("127.0.0.1", 8080), False, "http://127.0.0.1:8080"),
        (("127.0.0.1", 80), False, "http://127.0.0.1"),
        (("127.0.0.1", 443), True, "https://127.0.0.1"),
        (("::1", 8080), True, "https://[::1]:8080"),
    ],
)
def test_descriptions(address: object, tls: bool, text: str) -> None:
    """For the log."""
    fake = Fake()
    fake.ssl_adapter = object() if tls else None

    assert ServerAdapter(Bus(), fake, address).description == text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_server_that_is_interrupted_says_so(error: type[BaseException]) -> None:
    """And what it was."""
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    adapter = ServerAdapter(bus, Fake(error()), "/run/a.sock")

    with pytest.raises(error):
        adapter.start()

    name = {KeyboardInterrupt: "<Ctrl-C> hit", SystemExit: "SystemExit raised"}[error]
    assert f"{name}: shutting down HTTP server" in said


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.EADDRINUSE, r"choose another port \(server\.socket_port; 0 takes any free one\)"),
        (errno.EACCES, r"Ports below 1024 need a privilege: choose another one \(server\.socket_port\)"),
        (errno.EADDRNOTAVAIL, r"not one of this machine: choose another one \(server\.socket_host"),
    ],
)
def test_a_refused_bind_says_what_to_do(number: int, cure: str) -> None:
    """The error keeps its number, its text and its cause."""
    refused = OSError(number, "cannot listen on 192.0.2.1:80")
    adapter = ServerAdapter(Bus(), Fake(refused), ("192.0.2.1", 0))

    with pytest.raises(OSError, match=rf"cannot listen on 192\.0\.2\.1:80\. .*{cure}") as caught:
        adapter.start()

    assert caught.value.errno == number
    assert caught.value.__cause__ is refused


def test_other_errors_are_left_alone() -> None:
    """And so are those of Unix sockets, which have no port."""
    refused = OSError(errno.EACCES, "cannot listen on /run/a.sock")
    other = OSError(errno.EMFILE, "too many open files")

    with pytest.raises(OSError, match=r"a\.sock") as caught:
        ServerAdapter(Bus(), Fake(refused), "/run/a.sock").start()
    with pytest.raises(OSError, match="too many") as caught_other:
        ServerAdapter(Bus(), Fake(other), ("127.0.0.1", 0)).start()

    assert (caught.value, caught_other.value) == (refused, other)


def test_socket_activation_checks_no_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service manager has bound them before; LISTEN_PID alone says so."""
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        adapter = ServerAdapter(Bus(), Fake(), taken.getsockname())

        adapter.start()

        assert adapter.running
    adapter.stop()


def test_a_port_that_stays_taken_does_not_fail_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody shares it; the exit would end half-way."""
    monkeypatch.setattr(servers.Timeouts, "free", 0.01)
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    server = Listening()
    adapter = ServerAdapter(bus, server, ("127.0.0.1", 0))
    adapter.start()
    with socket.create_server(("127.0.0.1", 0)) as other:
        adapter.bind_addr = other.getsockname()

        adapter.stop()

    assert not adapter.running
    assert any(line.startswith("After the stop somebody still listens") for line in said)


def test_probes_may_be_replaced_by_their_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applications do it, by ``cherrypy.process.servers.wait_for_occupied_port = ...``."""
    probed: list[tuple[str, int]] = []
    monkeypatch.setattr(servers, "wait_for_occupied_port", lambda host, port, *args: probed.append((host, port)))
    adapter = ServerAdapter(Bus(), Listening(), ("127.0.0.1", 0))

    adapter.start()
    bound = adapter.bound_addr
    adapter.stop()

    assert probed == [bound]


@pytest.mark.parametrize("protocol", ["cgi", "fcgi", "scgi"])
def test_flup_is_asked_for_its_protocol(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    """With the signals left to the bus; a stop lets it finish."""

    class WSGIServer:
        _keepGoing = True
        _threadPool = SimpleNamespace(maxSpare=5, _idleCount=2)

        def __init__(self, *args: object, **kwargs: object) -> None:
            self.called = (args, kwargs)

        def run(self) -> None:
            self._installSignalHandlers()

    module = ModuleType(f"flup.server.{protocol}")
    module.WSGIServer = WSGIServer
    monkeypatch.setitem(sys.modules, module.__name__, module)
    server = getattr(servers, f"Flup{protocol.upper()}Server")("site", bindAddress=("127.0.0.1", 9))

    server.start()
    flup = server.server
    was_ready = server.ready
    server.stop()

    assert flup.called == (("site",), {"bindAddress": ("127.0.0.1", 9)})
    assert (was_ready, server.ready) == (True, False)
    assert flup._keepGoing == (protocol == "cgi")


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the server object gets to try."""
    monkeypatch.setattr(servers.Timeouts, "free", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(OSError, match=rf"Port {port} not free on '127.0.0.1'. .*server\.socket_port") as caught:
            ServerAdapter(Bus(), Fake(), ("127.0.0.1", port)).start()

    assert caught.value.errno == errno.EADDRINUSE


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
