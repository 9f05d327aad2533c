"""One client connection: its socket, where it stands, and what of it has not been used yet.

Law: at any moment exactly one thread owns a connection. While its state is BUSY that is the thread which runs its
request; while it is AWAY (see ``away.py``) its owner writes; in every other state it is the thread that holds the
baton.
"""

from __future__ import annotations

import select
import socket
import struct
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from cherrypy.httpd.limits import Limits
from cherrypy.httpd.waits import LONGEST_POLL_S, CutOff, Waits
from cherrypy.httpd.writer import CONTINUE

if TYPE_CHECKING:
    from cherrypy.httpd.away import Away
    from cherrypy.httpd.chunks import ChunkDecoder
    from cherrypy.httpd.flush import PendingFile
    from cherrypy.httpd.listener import Listener
    from cherrypy.httpd.message import Message
    from cherrypy.httpd.streambody import StreamBody
    from cherrypy.httpd.tls import TLSSocket

# Where a connection stands. HEAD is also the state of an idle one (with an empty buffer).
HEAD, BODY, BUSY, WRITE, DISCARD, LINGER, HANDSHAKE, GREETING, CLOSED, AWAY, SPOOL = range(11)

_RECEIVE_BYTES = 65536
_NO_LINGER = struct.pack("ii", 1, 0)


class ClientGone(OSError):
    """The client does not take its answer: it has closed, reset, or reads too slowly."""


class Connection:
    """One accepted connection.

    Attributes:
        peer: (address, port) of the other end; ``("", 0)`` for a Unix socket.
        scheme: ``"http"`` or ``"https"``.
    """

    __slots__ = (
        "_local",
        "away",
        "body_end",
        "buffer",
        "deadline",
        "decoder",
        "fd",
        "file",
        "incoming",
        "keep",
        "last",
        "limits",
        "listener",
        "mask",
        "message",
        "missing",
        "out",
        "parked",
        "partial",
        "parts",
        "peer",
        "queued",
        "recv",
        "scheme",
        "send",
        "served",
        "sock",
        "state",
        "taken",
    )

    def __init__(
        self, sock: socket.socket | TLSSocket, peer: tuple[str, int], listener: Listener, limits: Limits
    ) -> None:
        # what it is
        self.fd = sock.fileno()
        self.use(sock)
        self.peer = peer
        self.listener = listener
        self.scheme = listener.scheme
        self.limits = limits
        self._local: tuple[str, int] | str | None = None
        # where it stands
        self.state = HEAD
        self.deadline = 0.0
        self.served = 0
        self.last = False  # its next answer closes it
        self.buffer = b""
        self.mask = select.EPOLLIN  # what the poll set waits for
        self.partial = False  # some octets of a head have come; its deadline runs
        self.queued = False  # waits in the loop's list of connections with a request left in their buffer
        self.parked = False  # taken out of the poll set because it became ready while it was busy
        # the request that is being received
        self.message: Message | None = None
        self.decoder: ChunkDecoder | None = None
        self.incoming: StreamBody | None = None  # in state SPOOL
        self.parts: list[bytes] = []
        self.missing = 0
        self.taken = 0
        self.body_end = 0.0  # the deadline never goes beyond
        # the answer that is being sent
        self.out: bytes | memoryview | None = None
        self.file: PendingFile | None = None
        self.keep = True
        self.away: Away | None = None  # who answers it elsewhere

    def use(self, sock: socket.socket | TLSSocket) -> None:
        """Speak over *sock* from now on."""
        self.sock = sock
        self.recv = sock.recv
        self.send = sock.send

    @property
    def local(self) -> tuple[str, int] | str:
        """Where it was accepted: (address, port), or the path of a Unix socket."""
        if self._local is None:
            name = self.sock.getsockname()
            if isinstance(name, tuple):
                name = name[:2]
            elif isinstance(name, bytes):
                name = "@" + name[1:].decode("utf-8", "surrogateescape")
            self._local = name
        return self._local

    def peercreds(self) -> tuple[int, int, int] | None:
        """(pid, uid, gid) of the process at the other end of a Unix socket; None elsewhere."""
        if self.sock.family != socket.AF_UNIX:
            return None
        packed = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, gid = struct.unpack("3i", packed)
        return pid, uid, gid

    def tls_environ(self) -> dict[str, str]:
        """The CGI variables of the TLS session; empty on a plain connection."""
        return self.listener.tls.environ(self.sock) if self.listener.tls else {}

    def receive(self) -> bytes:
        """Take what the socket holds now; ``b""`` at its end, BlockingIOError when there is nothing yet."""
        return self.recv(_RECEIVE_BYTES)

    def has_output(self) -> bool:
        """True while a part of the answer waits for the client to take more."""
        return self.out is not None

    def send_continue(self, waits: Waits | None = None) -> None:
        """Tell the client that its body is wanted."""
        self.send_all(CONTINUE, waits)

    def send_all(self, data: bytes, waits: Waits | None = None) -> None:
        """Send everything, waiting for the client as long as it keeps up the least rate.

        Only for threads that do not hold the baton; those of the pool bring the *waits* of their server.

        Raises:
            ClientGone: it has closed, or takes too little for too long.
        """
        view = memoryview(data)
        waited_s = 0.0
        sent = 0
        while True:
            try:
                sent += self.send(view[sent:])
            except BlockingIOError:
                limits = self.limits
                allowed_s = limits.write_grace_s + sent / max(limits.write_rate_bytes_per_s, 1e-9)
                start = monotonic()
                if waited_s >= allowed_s or not self.wait_writable(allowed_s - waited_s, waits):
                    raise ClientGone("the client takes its answer too slowly")
                waited_s += monotonic() - start
            except OSError as error:
                raise ClientGone(str(error)) from error
            if sent == len(data):
                return

    def wait_writable(self, timeout_s: float, waits: Waits | None = None) -> bool:
        """Wait until the socket takes more; False when *timeout_s* is over.

        Raises:
            ClientGone: the thread is needed elsewhere.
        """
        if waits is not None:
            try:
                return waits.wait(self, select.POLLOUT, timeout_s)
            except CutOff:
                raise ClientGone("too many threads wait for clients that take their answers slowly") from None
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        return bool(poll.poll(min(timeout_s, LONGEST_POLL_S) * 1000))

    def forget_request(self) -> None:
        """Let go of the request that is being received, and of what has come of its body."""
        self.message = None
        self.decoder = None
        if self.incoming is not None:
            self.incoming.end()
            self.incoming = None

    def close(self, *, abruptly: bool = False) -> None:
        """Close the socket; *abruptly* resets, so that no client takes a cut answer for a whole one."""
        self.state = CLOSED
        with suppress(OSError):
            if abruptly and self.sock.family != socket.AF_UNIX:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        with suppress(OSError):
            if abruptly and not isinstance(self.sock, socket.socket):
                self.sock.close(abruptly=True)
            else:
                self.sock.close()
        # The bound methods hold the socket: let the whole knot go at once.
        self.forget_request()
        self.away = None
        self.out = None
        if self.file is not None:
            self.file.close()
            self.file = None
