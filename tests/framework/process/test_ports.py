"""Whether a port is taken."""

from __future__ import annotations

import socket
import warnings

import pytest

from cherrypy.process import ports, servers
from cherrypy.process.ports import PortTimeout, client_host, is_bindable, is_occupied
from cherrypy.process.servers import _safe_wait


@pytest.mark.parametrize(
    ("bound", "reached"),
    [
        (None, "127.0.0.1"),
        ("", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("::0", "::1"),
        ("::0.0.0.0", "::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("host.example", "host.example"),
    ],
)
def test_where_a_client_reaches_a_server(bound: str | None, reached: str) -> None:
    """All interfaces include the one of this machine alone."""
    assert client_host(bound) == reached


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", None])
def test_a_port_that_is_taken(host: str | None) -> None:
    """By whatever it is looked at, also by the address of all interfaces."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = (is_occupied(host, port), is_bindable(host, port))

    assert found == (True, False)
    assert (is_occupied(host, port), is_bindable(host, port)) == (False, True)


def test_all_interfaces_take_each_of_them() -> None:
    """The other way round."""
    with socket.create_server(("0.0.0.0", 0)) as taken:
        assert not is_bindable("127.0.0.1", taken.getsockname()[1])


def test_asking_whether_a_port_can_be_bound_disturbs_nobody() -> None:
    """Whoever listens there gets no connection, which upstream's question was."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.setblocking(False)

        assert not is_bindable("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(BlockingIOError):
            taken.accept()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "::ffff:192.0.2.1"])
def test_doubt_is_left_to_the_bind(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is not ours, a name that nobody knows (offline): the server's own error is the better one."""
    monkeypatch.setattr(ports, "CONNECT_TIMEOUT_S", 0.01)

    assert is_bindable(host, 8080)
    assert not is_occupied(host, 8080)


def test_waiting_ends_as_soon_as_the_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks."""
    answers = iter([True, True, False])
    pauses: list[float] = []
    monkeypatch.setattr(ports, "is_occupied", lambda host, port: next(answers))
    monkeypatch.setattr(ports.time, "sleep", pauses.append)

    ports.wait_for_free_port("127.0.0.1", 8080)

    assert pauses == [ports.POLL_S] * 2


def test_port_0_is_always_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked."""
    monkeypatch.setattr(ports, "is_occupied", lambda host, port: pytest.fail("asked"))
    monkeypatch.setattr(ports, "is_bindable", lambda host, port: pytest.fail("asked"))

    ports.wait_for_free_port("127.0.0.1", 0)

    assert ports.wait_until_bindable("127.0.0.1", 0) is None


@pytest.mark.parametrize(
    ("wait", "answer", "message"),
    [
        (ports.wait_for_free_port, True, "Port 8080 not free on '127.0.0.1'. Another process listens there"),
        (ports.wait_until_bindable, False, "Port 8080 not free on '127.0.0.1'. Another process listens there"),
        (ports.wait_for_occupied_port, False, "Port 8080 not bound on '127.0.0.1'"),
    ],
)
def test_a_time_out_names_port_and_host(
    monkeypatch: pytest.MonkeyPatch, wait: object, answer: bool, message: str
) -> None:
    """In its text and as attributes."""
    monkeypatch.setattr(ports, "is_occupied", lambda host, port: answer)
    monkeypatch.setattr(ports, "is_bindable", lambda host, port: answer)

    with pytest.raises(PortTimeout, match=message) as caught:
        wait("127.0.0.1", 8080, 0)

    assert (caught.value.host, caught.value.port) == ("127.0.0.1", 8080)


def test_how_long_is_waited() -> None:
    """By attributes that may be changed."""
    assert (servers.Timeouts.occupied, servers.Timeouts.free) == (5, 1)


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
