"""The HTTP server object: the names that applications and monitors use of ``cherrypy.server.httpserver``."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

import cherrypy
from cherrypy.app.server import Server
from cherrypy.app.wsgi_server import CPHTTPServer, CPWSGIServer
from cherrypy.lib.statistics import extrapolate_statistics
from cherrypy.process.wspbus import Bus


def test_it_is_made_of_an_adapter(server: Server) -> None:
    """And copies what it was given."""
    server.socket_host = "127.0.0.9"
    server.thread_pool = 4
    server.shutdown_timeout = 2
    server.nodelay = False
    server.protocol_version = "HTTP/1.0"

    made = CPWSGIServer(server)

    assert made.server_adapter is server
    assert made.bind_addr == ("127.0.0.9", 0)
    assert made.server_name == "127.0.0.9"
    assert (made.numthreads, made.shutdown_timeout, made.nodelay) == (4, 2, False)
    assert (made.protocol, made.request_queue_size) == ("HTTP/1.0", 5)
    assert made.software == made.version == f"CherryPy/{cherrypy.__version__}"
    assert (made.keep_alive_conn_limit, made.expiration_interval, made.ConnectionClass) == (10, 0.5, None)


def test_without_an_adapter_it_takes_the_site_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """``CPWSGIServer()``; and says so if there is none."""
    assert CPWSGIServer().server_adapter is cherrypy.server

    monkeypatch.setattr(CPHTTPServer, "default_adapter", None)

    with pytest.raises(TypeError, match=r"CPHTTPServer needs a server adapter, for example cherrypy\.server"):
        CPHTTPServer()


def test_ready_and_socket_follow_its_life(server: Server, client: Any) -> None:
    """True and there while it listens."""
    made = server.httpserver = CPWSGIServer(server)
    before = (made.ready, made.socket, made.native_stats())

    server.start()
    assert made.ready
    assert made.socket.getsockname() == server.bound_addr
    server.stop()

    assert before == (False, None, None)
    assert (made.ready, made.socket, made.native_stats()) == before


def test_stop_of_a_stopped_server_is_nothing(server: Server) -> None:
    """Also of one that never started."""
    made = CPWSGIServer(server)

    made.stop()

    assert not made.ready


def test_interrupt_before_the_start_is_forgotten(server: Server, client: Any) -> None:
    """It is meant for the thread that serves."""
    made = server.httpserver = CPWSGIServer(server)
    made.interrupt = KeyboardInterrupt()

    server.start()

    assert made.interrupt is None
    assert client.ask() == ("HTTP/1.1 200 OK", b"hello")


def test_a_wsgi_app_may_be_set_before_the_start(server: Server, client: Any) -> None:
    """Then nothing else answers."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"mine"]

    server.httpserver = CPWSGIServer(server)
    server.httpserver.wsgi_app = app
    server.start()

    assert client.ask()[1] == b"mine"
    server.httpserver.wsgi_app = None
    assert server.httpserver.wsgi_app is client.site_app
    assert client.ask()[1] == b"hello"


def test_the_pool_tells_its_sizes(server: Server, client: Any) -> None:
    """Nothing while it is stopped."""
    server.thread_pool, server.thread_pool_max = 3, 5
    made = server.httpserver = CPWSGIServer(server)
    pool = made.requests
    stopped = (pool.idle, pool.qsize, len(pool._threads))

    server.start()
    asking = threading.Thread(target=client.ask, args=("/slow",))
    asking.start()
    assert client.entered.wait(5)
    busy = (pool.idle, pool.qsize, len(pool._threads))
    client.release.set()
    asking.join(5)

    assert (pool.min, pool.max) == (3, 5)
    assert stopped == (0, 0, 0)
    assert busy == (2, 0, 3)


STATISTICS = {
    "Accepts",
    "Accepts/sec",
    "Bind Address",
    "Bytes Read",
    "Bytes Written",
    "Enabled",
    "Queue",
    "Read Throughput",
    "Requests",
    "Run time",
    "Socket Errors",
    "Threads",
    "Threads Idle",
    "Work Time",
    "Worker Threads",
    "Write Throughput",
}


def values(server: Server) -> dict[str, Any]:
    """Return the statistics as ``lib.cpstats`` evaluates them."""
    stats = server.httpserver.stats
    return {key: value(stats) if callable(value) else value for key, value in stats.items()}


@pytest.mark.parametrize(("setting", "most"), [(-1, math.inf), (0, math.inf), (5, 5), ("20", 20)])
def test_the_pool_s_maximum_is_comparable(server: Server, setting: Any, most: float) -> None:
    """Infinite without a limit."""
    server.thread_pool_max = setting

    assert CPWSGIServer(server).requests.max == most


def test_statistics_have_their_documented_names(server: Server, client: Any) -> None:
    """Evaluated, all are numbers, but for the address and the threads."""
    server.statistics = True
    server.start()
    client.ask("/size", b"x" * 1000)

    found = values(server)

    assert set(found) == STATISTICS
    assert found["Bytes Read"] > 1000
    assert found["Bytes Written"] > 0
    assert found["Accepts/sec"] > 0
    assert found["Read Throughput"] > 0
    assert found["Write Throughput"] > 0
    assert found["Run time"] > 0
    assert found["Bind Address"] == repr(("127.0.0.1", 0))


def test_statistics_are_off_by_default_and_switched_at_run_time(server: Server, client: Any) -> None:
    """Off, they count nothing and the run time is -1."""
    server.start()
    client.ask()
    off = values(server)
    server.httpserver.stats["Enabled"] = True

    assert (off["Enabled"], off["Requests"], off["Run time"]) == (False, 0, -1)
    assert values(server)["Requests"] >= 1


def test_work_time_is_what_threads_spend_in_handlers(server: Server, client: Any) -> None:
    """While statistics are on; throughputs are octets a second of it, all in all and by thread."""
    server.statistics = True
    server.start()
    asking = threading.Thread(target=client.ask, args=("/slow",))
    began = time.monotonic()
    asking.start()
    assert client.entered.wait(5)
    client.release.wait(0.05)
    client.release.set()
    asking.join(5)
    took = time.monotonic() - began

    found = extrapolate_statistics(server.httpserver.stats)
    threads = found["Worker Threads"].values()

    assert 0.05 <= found["Work Time"] <= took
    assert found["Read Throughput"] == pytest.approx(found["Bytes Read"] / found["Work Time"])
    assert found["Write Throughput"] == pytest.approx(found["Bytes Written"] / found["Work Time"])
    assert [one["Requests"] for one in threads] == [1]
    assert sum(one["Work Time"] for one in threads) == found["Work Time"]
    assert set(next(iter(threads))) == {
        "Requests",
        "Bytes Read",
        "Bytes Written",
        "Work Time",
        "Read Throughput",
        "Write Throughput",
    }
    assert all(isinstance(value, int | float) for one in threads for value in one.values())


def test_statistics_begin_with_their_switch_and_anew_with_the_server(server: Server, client: Any) -> None:
    """Nothing is measured while they are off; a WSGI application is measured as well."""
    server.start()
    client.ask()
    off = extrapolate_statistics(server.httpserver.stats)
    server.httpserver.stats["Enabled"] = True
    server.httpserver.wsgi_app = lambda environ, start_response: (start_response("200 OK", []), [b"x"])[1]
    client.ask()
    on = extrapolate_statistics(server.httpserver.stats)
    server.httpserver.stats["Enabled"] = False
    client.ask()
    off_again = extrapolate_statistics(server.httpserver.stats)
    server.stop()
    server.start()
    anew = extrapolate_statistics(server.httpserver.stats)

    assert (off["Work Time"], off["Worker Threads"]) == (0, {})
    assert on["Work Time"] > 0
    assert off_again["Work Time"] == on["Work Time"]
    assert (anew["Work Time"], anew["Worker Threads"]) == (0, {})


def test_who_waits_for_a_thread_is_counted(server: Server, client: Any) -> None:
    """Requests on connections that are open, and connections that nobody has accepted."""
    server.thread_pool = 1
    server.start()
    pool = server.httpserver.requests
    with client.connect() as kept, client.connect() as newcomer:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(1000).endswith(b"hello")
        idle = pool.qsize
        asking = threading.Thread(target=client.ask, args=("/slow",))
        asking.start()
        assert client.entered.wait(5)
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        newcomer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with client.connect():
            deadline = time.monotonic() + 5
            while pool.qsize < 3 and time.monotonic() < deadline:
                time.sleep(0.005)
            waiting = pool.qsize
        client.release.set()
        asking.join(5)
        assert kept.recv(1000).endswith(b"hello")
        assert newcomer.recv(1000).endswith(b"hello")

    assert (idle, waiting) == (0, 3)
    assert pool.qsize == 0


def test_socket_errors_are_counted(server: Server, client: Any) -> None:
    """Those before there is a request."""
    server.statistics = True
    server.start()
    found = server.httpserver.stats["Socket Errors"](server.httpserver.stats)
    server.httpserver._running._loop.acceptor.errors = 3

    assert found == 0
    assert extrapolate_statistics(server.httpserver.stats)["Socket Errors"] == 3


def test_error_log_goes_to_the_bus(server: Server) -> None:
    """With its level, and the traceback if that is asked for."""
    said: list[tuple[str, int]] = []
    server.bus.subscribe("log", lambda msg, level: said.append((msg, level)))
    made = CPWSGIServer(server)

    made.error_log("plain")
    try:
        raise KeyError("lost")
    except KeyError:
        made.error_log("with", 40, traceback=True)

    assert said[0] == ("plain", 20)
    assert said[1][1] == 40
    assert "KeyError: 'lost'" in said[1][0]


def test_it_shows_where_it_listens(server: Server) -> None:
    """In the log line of its end."""
    assert str(CPWSGIServer(server)).endswith("CPWSGIServer(('127.0.0.1', 0))")


def test_limits_have_their_documented_names(server: Server) -> None:
    """Settable; they act on the native limits."""
    made = CPWSGIServer(server)

    made.max_request_header_size = 1000
    made.max_request_body_size = 2000
    made.timeout = 3

    assert (made.limits.head_bytes, made.limits.field_bytes, made.limits.body_bytes) == (1000, 1000, 2000)
    assert (made.max_request_header_size, made.max_request_body_size, made.timeout) == (1000, 2000, 3)
    assert made.limits.idle_s == 3


def test_the_old_idiom_for_a_fresh_server(server: Server, client: Any) -> None:
    """COMPAT: ``server.httpserver = None; server.instance = None`` before a restart takes all settings anew."""
    server.start()
    first = server.httpserver
    server.stop()
    server.thread_pool = 2

    server.httpserver = None
    server.instance = None
    server.start()

    assert server.httpserver is not first
    assert len(server.httpserver.requests._threads) == 2


def test_settings_of_the_bus_side(server: Server, client: Any) -> None:
    """bus, running, interrupt, description, subscribe and the priorities of start and stop."""
    assert (server.running, server.interrupt, server.httpserver) == (False, None, None)
    assert server.description == ""
    assert (Server.start.priority, Server.stop.priority) == (75, 25)

    server.subscribe()
    assert server.start in server.bus.listeners["start"]
    assert server.stop in server.bus.listeners["stop"]
    server.unsubscribe()
    assert server.start not in server.bus.listeners["start"]

    server.start()
    assert server.running
    assert server.description == server.base() == f"http://127.0.0.1:{server.bound_addr[1]}"


def test_a_second_start_says_that_it_serves_already(server: Server, client: Any) -> None:
    """And changes nothing."""
    said: list[str] = []
    server.bus.subscribe("log", lambda msg, level: said.append(msg))
    server.start()
    port = server.bound_addr

    server.start()

    assert said[-1] == f"Already serving on {server.base()}"
    assert server.bound_addr == port


def test_two_servers_serve_side_by_side(server: Server, client: Any) -> None:
    """Each with settings of its own."""
    other = Server()
    other.bus = Bus()
    other.socket_port = 0
    other.max_request_body_size = 5
    server.start()
    other.start()
    try:
        first = client.ask("/size", b"x" * 10)
        client.server = other
        second = client.ask("/size", b"x" * 10)
    finally:
        other.stop()

    assert first == ("HTTP/1.1 200 OK", b"10")
    assert second[0].startswith("HTTP/1.1 413")
