"""TLS by the standard library, fitted to non-blocking sockets: what OpenSSL still wants looks like a plain EAGAIN."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from cherrypy.httpd.credentials import CredentialsError, Identities, Identity, make_context
from cherrypy.httpd.tlsvariables import session_variables

__all__ = ["PLAIN_ON_TLS", "TLS", "CredentialsError", "PlainText", "TLSSocket", "make_context"]

PLAIN_ON_TLS = b"The client sent a plain HTTP request, but this server only speaks HTTPS on this port."

#: Further variables of a session whose handshake is done, from what somebody else's adapter knows.
Describe = Callable[[ssl.SSLSocket], Mapping[str, Any]]

#: Sent in one go: OpenSSL takes a record (16 KiB) at a time, and each turn of the poll set costs.
_SEND_BYTES = 262144
#: Received in one go; others want their turn.
_TAKE_BYTES = 262144
#: The most that a record carries (RFC 8446, 5.1): behind one as long there are more, as a rule.
_RECORD_BYTES = 16384
_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}")


def _refuse(*given: object) -> Any:
    raise OSError(errno.EBADF, "the TLS connection is closed")


def _hold_nothing() -> int:
    return 0


class PlainText(OSError):
    """The client speaks no TLS, but text: most likely HTTP."""


class TLSSocket:
    """The part of a socket's interface that a connection uses, over an ``ssl.SSLSocket``.

    Law: OpenSSL allows one thread at a time in a session. A connection that is AWAY is watched by one thread and
    written by another; so each call into OpenSSL holds the lock. None of them blocks.
    """

    def __init__(self, sock: ssl.SSLSocket, identities: Identities, describe: Describe | None = None) -> None:
        self._sock = sock
        self._identities = identities
        self._describe = describe
        self._lock = threading.Lock()
        self._variables: dict[str, str] | None = None
        self._greeted = False
        self.family = sock.family
        self.fileno = sock.fileno
        self.getsockname = sock.getsockname
        self.setsockopt = sock.setsockopt
        self.getsockopt = sock.getsockopt
        self.ssl = sock
        self._read: Callable[..., Any] = sock.recv
        self._write: Callable[..., int] = sock.send
        self._pending = sock.pending
        self._read_into: Callable[[int, memoryview], int] = lambda size, view: sock.recv_into(view, size)
        session: Any = getattr(sock, "_sslobj", None) if sock.__class__ is ssl.SSLSocket else None
        if session is not None:
            # PERF: what a request costs in here: 8.9 -> 3.2 us with the session's own methods, as SSLSocket's look
            # several times whether there is a session at all.
            self._read = self._read_into = session.read
            self._write = session.write
            self._pending = session.pending

    def handshake(self) -> str:
        """Go on with the handshake: ``"done"``, or ``"read"``/``"write"`` for what it waits for.

        Raises:
            PlainText: it never began; not an octet was taken.
            OSError: it failed.
        """
        with self._lock:
            try:
                if not self._greeted:
                    self._look_at_greeting()
                self._sock.do_handshake()
            except (ssl.SSLWantReadError, BlockingIOError):
                return "read"
            except ssl.SSLWantWriteError:
                return "write"
        return "done"

    def _look_at_greeting(self) -> None:
        # OpenSSL recognizes a few methods of HTTP, and has eaten what told them by then.
        first = socket.socket.recv(self._sock, 1, socket.MSG_PEEK)
        if first.isalpha():
            raise PlainText("no TLS, but text")
        self._greeted = True

    def recv(self, size: int) -> bytes:
        """Decrypted octets, more than *size* if OpenSSL holds more; BlockingIOError when there are none yet."""
        with self._lock:
            try:
                data: bytes = self._read(size)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                raise BlockingIOError from error
            except ssl.SSLEOFError:
                return b""
            return data if len(data) < size and len(data) < _RECORD_BYTES else self._read_on(data, size)

    def _read_on(self, data: bytes, size: int) -> bytes:
        """Take more behind *data*, a full record or all that was asked for, up to *size* octets and the record's end.

        What OpenSSL holds decrypted is no news to the poll set; what the kernel holds would cost a turn of it each.
        """
        parts = [data]
        held = len(data)
        with suppress(OSError):  # the next call will meet it again
            while more := self._read(size - held) if held < size else self._read_pending():
                parts.append(more)
                held += len(more)
        return b"".join(parts)

    def _read_pending(self) -> bytes:
        held = self._pending()
        data: bytes = self._read(held) if held else b""
        return data

    def recv_into(self, view: memoryview) -> int:
        """Fill *view*, as far as there is something; 0 at the end, BlockingIOError when there is nothing yet.

        Beyond ``_TAKE_BYTES`` only to the end of a record. One that goes on behind the end of *view* is for
        ``take_held``.
        """
        size = len(view)
        count = 0
        with self._lock:
            try:
                while count < size and (count < _TAKE_BYTES or self._pending()):
                    got = self._read_into(size - count, view[count:])
                    if not got:
                        break
                    count += got
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                if not count:
                    raise BlockingIOError from error
            except OSError as error:
                if not count and not isinstance(error, ssl.SSLEOFError):
                    raise
        return count

    def take_held(self) -> bytes:
        """What OpenSSL holds decrypted, behind what was asked for."""
        with self._lock:
            return self._read_pending()

    def send(self, data: bytes | memoryview) -> int:
        """Octets taken; BlockingIOError when none can be."""
        with self._lock:
            try:
                sent = self._write(data)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                raise BlockingIOError from error
            size = len(data)
            if sent < size:
                view = memoryview(data)
                with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    while sent < size and sent < _SEND_BYTES:
                        sent += self._write(view[sent:])
            return sent

    def plain(self) -> socket.socket:
        """Leave TLS out: the plain socket of a client that does not speak it. Of no use afterwards."""
        self._forget_session()
        return socket.socket(self._sock.family, self._sock.type, fileno=self._sock.detach())

    def shutdown(self, how: int) -> None:
        """Send close_notify as far as the socket takes it, then end the plain socket's write side.

        With ``SHUT_RDWR`` there is no good end, and nothing is said; that may come from any thread.
        """
        if how != socket.SHUT_RDWR:
            self._notify_close()
        socket.socket.shutdown(self._sock, how)

    def close(self, *, abruptly: bool = False) -> None:
        """Close the descriptor, with a close_notify unless *abruptly*."""
        if not abruptly:
            self._notify_close()
        self._forget_session()
        self._sock.close()

    def _forget_session(self) -> None:
        # The session knows the descriptor by its number, which may be another's the next moment.
        with self._lock:
            self._read = self._read_into = self._write = _refuse
            self._pending = _hold_nothing

    def _notify_close(self) -> None:
        with self._lock, suppress(OSError, ValueError):  # ours is out; the client's may come later or never
            self._sock.unwrap()

    def variables(self) -> dict[str, str]:
        """The CGI variables of the session; made at the first question."""
        if self._variables is None:
            with self._lock:
                shown = self._identities.of(self._sock.context)
                self._variables = session_variables(self._sock, shown, vars(self._sock).get("server_name"))
                if self._describe is not None:
                    self._variables.update(self._describe(self._sock))
        return self._variables


class TLS:
    """Makes TLS connections of accepted sockets.

    Args:
        given: a server-side context (``make_context`` builds a safe one), or several certificates.
        load: makes them anew, for ``reload``.
        describe: adds to the variables of each session, and wins.
    """

    def __init__(
        self,
        given: ssl.SSLContext | Identities,
        load: Callable[[], Identities] | None = None,
        describe: Describe | None = None,
    ) -> None:
        self._load = load
        self._describe = describe
        self._identities = given if isinstance(given, Identities) else Identities(Identity(given))
        _Chooser.install(self._identities)

    @property
    def context(self) -> ssl.SSLContext:
        """The context that new handshakes begin with."""
        return self._identities.default.context

    @property
    def is_reloadable(self) -> bool:
        """False for a context that somebody else made."""
        return self._load is not None

    def reload(self) -> None:
        """Read the certificates again, for handshakes to come; sessions go on with theirs.

        Raises:
            Exception: what ``load`` raises; all stay as they were.
        """
        if self._load is None:
            return
        fresh = self._load()
        _Chooser.install(fresh)
        self._identities = fresh

    def wrap(self, sock: socket.socket) -> TLSSocket:
        """Take over *sock*; the handshake is still to be done."""
        identities = self._identities
        wrapped = identities.default.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return TLSSocket(wrapped, identities, self._describe)

    def environ(self, sock: Any) -> dict[str, str]:
        """CGI variables of the session of *sock*, as mod_ssl calls them."""
        variables: dict[str, str] = sock.variables()
        return variables


class _Chooser:
    """Called by OpenSSL in each handshake: notes the name that the client asks for, and chooses a certificate.

    Args:
        identities: to choose from.
        given: what the context's maker had set; it has the last word.
    """

    def __init__(self, identities: Identities, given: Any) -> None:
        self._identities = identities
        self._given = given

    @classmethod
    def install(cls, identities: Identities) -> None:
        context = identities.default.context
        given: Any = context.sni_callback
        if isinstance(given, _Chooser):  # the context served before
            given = given._given
        context.sni_callback = cls(identities, given)

    def __call__(self, sock: Any, server_name: str | None, context: ssl.SSLContext) -> int | None:
        if server_name is not None and _HOST_NAME.fullmatch(server_name):
            vars(sock)["server_name"] = server_name
            chosen = self._identities.shown_to(server_name).context
            if chosen is not context:
                sock.context = chosen
        return self._given(sock, server_name, context) if self._given is not None else None
