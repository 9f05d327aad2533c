"""Is a TCP port taken? Asked before a server binds it, and after a foreign server claims that it has."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
import warnings
from collections.abc import Iterator

# What a server binds to mean "all interfaces", and where a client of this machine reaches it.
CLIENT_HOSTS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "::0": "::1", "::0.0.0.0": "::1"}

POLL_S = 0.02
CONNECT_TIMEOUT_S = 0.5

# What to do about a refused bind.
CURES = {
    errno.EADDRINUSE: "Another process listens there: stop it, or choose another port "
    "(server.socket_port; 0 takes any free one).",
    errno.EACCES: "Ports below 1024 need a privilege: choose another one (server.socket_port), or start as root and "
    "subscribe plugins.DropPrivileges.",
    errno.EADDRNOTAVAIL: "The address is not one of this machine: choose another one (server.socket_host; '0.0.0.0' "
    "is all of them).",
}


class PortTimeout(OSError):
    """A port did not become free, or occupied, in time.

    Attributes:
        host: as bound.
        port: the number.
    """

    def __init__(self, message: str, host: str | None, port: int) -> None:
        super().__init__(message)
        self.host = host
        self.port = port


def client_host(server_host: str | None) -> str:
    """The address under which this machine reaches a server that is bound to *server_host*."""
    return CLIENT_HOSTS.get(server_host or "", server_host or "")


def is_occupied(host: str | None, port: int) -> bool:
    """True when someone accepts connections there. Doubt says no: the bind that follows has the last word."""
    try:
        socket.create_connection((client_host(host), port), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def is_bindable(host: str | None, port: int) -> bool:
    """False when the system says that the address is in use. Doubt says yes, likewise.

    It disturbs nobody, needs no route to the address, and knows about all interfaces at once.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.errno != errno.EADDRINUSE
    return True


def wait_for_free_port(host: str | None, port: int, timeout: float = 1) -> None:
    """Wait until nobody accepts connections on the port any more; port 0 is always free.

    Raises:
        PortTimeout: somebody still does after *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    while port and is_occupied(host, port):
        _give_up_after(deadline, host, port)


def wait_until_bindable(host: str | None, port: int, timeout: float = 1) -> None:
    """Wait until the port can be bound; port 0 always can.

    Raises:
        PortTimeout: somebody still has it after *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    while port and not is_bindable(host, port):
        _give_up_after(deadline, host, port)


def _give_up_after(deadline: float, host: str | None, port: int) -> None:
    if time.monotonic() >= deadline:
        taken = PortTimeout(f"Port {port} not free on {host!r}. {CURES[errno.EADDRINUSE]}", host, port)
        taken.errno = errno.EADDRINUSE
        raise taken
    time.sleep(POLL_S)


def wait_for_occupied_port(host: str | None, port: int, timeout: float = 5) -> None:
    """Wait until someone accepts connections on the port.

    Raises:
        PortTimeout: nobody does after *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    while not is_occupied(host, port):
        if time.monotonic() >= deadline:
            raise PortTimeout(f"Port {port} not bound on {host!r}", host, port)
        time.sleep(POLL_S)


def with_cure(error: BaseException) -> BaseException:
    """*error*, with what to do about it in its text if it is a refused bind."""
    cure = CURES.get(getattr(error, "errno", None) or 0)
    # A subclass may take other arguments, and has a text of its own.
    if cure is None or not isinstance(error, OSError) or type(error) not in (OSError, PermissionError):
        return error
    cured = OSError(error.errno, f"{error.strerror}. {cure}", *([error.filename] if error.filename else []))
    cured.__cause__ = error
    return cured


@contextlib.contextmanager
def safe_wait(host: str | None, port: int) -> Iterator[None]:
    """Turn a time-out inside into a warning where *host* names no address of its own: it cannot be told then.

    Time-outs are ours, and those of ``portend``, which CherryPy used here.
    """
    try:
        yield
    except Exception as error:
        if not _is_timeout(error) or host == client_host(host):
            raise
        warnings.warn(f"Unable to verify that the server is bound on {port!r}", stacklevel=3)


def _is_timeout(error: Exception) -> bool:
    kind = type(error)
    return isinstance(error, PortTimeout) or (kind.__name__ == "Timeout" and kind.__module__.startswith("portend"))
