"""Exchanges that go on without a thread, and come back to one.

A responder that raises ``Deferred`` has begun to answer elsewhere (on an event loop): its thread goes on with other
requests. The connection is AWAY then, and stays one of the server's: counted, waited for at a stop, told to leave. The
``Owner`` ends it with ``Away.come_back``, which has a pool thread do the rest: run an answer, or only settle.

Law: an AWAY connection is written to by its owner alone. It is read by the holder of the baton, who looks whether the
client is still there; or by the owner, if that says so (``reads``). Every AWAY connection comes back exactly once.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING

from cherrypy.httpd.baton import Seat
from cherrypy.httpd.connection import AWAY, BUSY, HEAD, Connection
from cherrypy.httpd.streambody import StreamBody

if TYPE_CHECKING:
    from cherrypy.httpd.loop import Loop
    from cherrypy.httpd.message import Message
    from cherrypy.httpd.server import Server
    from cherrypy.httpd.writer import Framing

log = logging.getLogger(__name__)

_RECEIVE_BYTES = 65536
#: Octets of following requests that are taken in while the client is only watched.
_AHEAD_BYTES = 65536

#: What a pool thread has to do for a connection that comes back: returns an outcome of ``exchange``.
Work = Callable[["Away", Seat], str]


WhenOver = Callable[[int], object]


class Owner:
    """Whoever answers a connection that is AWAY. All methods may be called from any thread, and must not block."""

    reads = False
    """True to have the socket alone: the poll set lets go of it, and ``gone`` is never called."""

    def begin(self, away: Away) -> None:
        """The server has let go; called once. What this has begun ends with ``away.come_back``."""
        raise NotImplementedError

    def gone(self) -> None:
        """The client has closed its sending side, or is gone; called once at most."""

    def leave(self) -> None:
        """The server drains or stops: come to an end when it suits; may be called several times."""

    def cut(self) -> None:
        """The server's time is over: come to an end at once."""


class Deferred(Exception):
    """Raised by a responder: *owner* answers this request, later.

    Attributes:
        is_deferral: True, for those who wrap responders and count what goes through.
        when_over: they may set it, to be called once with the class of the answer's status (2 for 200) at its end.
    """

    is_deferral = True

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self.owner = owner
        self.when_over: WhenOver | None = None


class Handover:
    """A body that sends itself: the server frames the head, and lets the owner made by ``take`` do the rest."""

    def take(self, framing: Framing, close: Callable[[], object] | None) -> Owner:
        """Return who sends the head in *framing* and this body, and has *close* called in the end by ``settle``."""
        raise NotImplementedError

    def abandon(self) -> None:
        """The answer became another one: ``take`` will not be called."""


class Away:
    """One connection that is AWAY, in its owner's hands.

    Attributes:
        server, connection, message: whose, which, and what for.
        owner: who answers.
        was_read: its streamed body was complete already; what comes in then is taken in by ``connection.buffer``.
        when_over: see ``Deferred``.
        status_class: of the answer, as soon as that is known.
    """

    __slots__ = (
        "_claim",
        "_loop",
        "_work",
        "connection",
        "message",
        "owner",
        "server",
        "status_class",
        "was_read",
        "when_over",
    )

    when_over: WhenOver | None
    status_class: int

    def __init__(
        self,
        server: Server,
        connection: Connection,
        message: Message,
        owner: Owner,
        when_over: WhenOver | None = None,
    ) -> None:
        # an answer that becomes a stream is the same exchange
        before = connection.away
        self.when_over = before.when_over if before is not None and when_over is None else when_over
        self.status_class = before.status_class if before is not None else 5
        self.server = server
        self.connection = connection
        self.message = message
        self.owner = owner
        self._loop: Loop | None = None
        self._work: Work | None = None
        self._claim: list[bool] = []
        body = message.body
        self.was_read = isinstance(body, StreamBody) and body.complete

    def begin(self, loop: Loop) -> None:
        """Let the owner begin."""
        self._loop = loop
        self.owner.begin(self)
        if loop.poll_set.closed:
            self.owner.cut()
        elif loop.server.leaving:
            self.owner.leave()

    def come_back(self, work: Work) -> None:
        """Have a pool thread run *work* and settle the connection by what it returns; from any thread, once.

        While all of them are busy nothing happens: see ``insist``.
        """
        loop = self._loop
        assert loop is not None
        self._work = work
        self._claim.append(True)
        loop.returns.append(self)
        loop.call_for_returns()

    @property
    def is_waiting(self) -> bool:
        """True from ``come_back`` until a thread begins the work."""
        return bool(self._claim)

    def insist(self) -> bool:
        """Run the work in this thread if no pool thread has begun it; True if so.

        Progress must not depend on the pool: all of its threads may wait for a lock that this very work would release.
        """
        try:
            self._claim.pop()
        except IndexError:
            return False
        loop = self._loop
        work, self._work = self._work, None
        assert loop is not None
        assert work is not None
        with loop.baton.mutex:
            self._return_input()
            self.connection.state = BUSY
        seat = Seat(loop.baton)
        self.message.entering = seat.entering
        loop.settle_outside(self.connection, self.message, seat, self._do(work, seat))
        return True

    def work_inline(self, loop: Loop, seat: Seat) -> bool:
        """Run the work as the holder of the baton; True when that was lost over it."""
        try:
            self._claim.pop()
        except IndexError:
            return False
        work, self._work = self._work, None
        assert work is not None
        connection, message = self.connection, self.message
        self._return_input()
        loop.current = connection
        connection.state = HEAD
        message.entering = seat.entering
        seat.key = None
        seat.timed = 0
        seat.serial += 1
        seat.returns += 1
        seat.slot.append(connection)
        if loop.baton.asleep:
            loop.baton.rouse()
        if message.body.__class__ is StreamBody:
            loop.baton.give(seat)
        outcome = self._do(work, seat)
        try:
            seat.slot.pop()
        except IndexError:
            loop.settle_outside(connection, message, seat, outcome)
            return True
        loop.settle_inside(connection, outcome)
        return False

    def _do(self, work: Work, seat: Seat) -> str:
        outcome = work(self, seat)
        connection = self.connection
        if connection.away is self:
            connection.away = None
            if self.when_over is not None:
                try:
                    self.when_over(self.status_class)
                except Exception:
                    log.exception("counting an answer failed")
        return outcome

    def _return_input(self) -> None:
        """Make what came in meanwhile the rest behind a streamed body: there the loop looks for it.

        Behind a body that was still to come nothing was taken in but by the body itself.
        """
        body = self.message.body
        if self.was_read and isinstance(body, StreamBody):
            body.rest = self.connection.buffer


def send_away(loop: Loop, connection: Connection) -> None:
    """Let go of a connection whose ``away`` has an owner now; for the loop, with the baton or under its mutex."""
    away = connection.away
    assert away is not None
    connection.state = AWAY
    connection.deadline = inf
    body = away.message.body
    # octets of a body that is still to come are the application's
    if away.owner.reads or loop.poll_set.closed or (isinstance(body, StreamBody) and not body.complete):
        _unregister(loop, connection)
    else:
        loop.want_input(connection)
    away.begin(loop)


def watch(loop: Loop, connection: Connection, seat: Seat) -> bool:
    """The socket of an AWAY connection is readable: take the next request, or tell the owner that the client left."""
    with loop.baton.mutex:  # a thread that insists may take it in this very moment
        if connection.parked or connection.state != AWAY:
            return False
        try:
            data = connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            seat.bytes_in += len(data)
            connection.buffer += data
            if len(connection.buffer) <= _AHEAD_BYTES:
                return False
        _unregister(loop, connection)
        away = connection.away
    if not data and away is not None:
        away.owner.gone()
    return False


def run_returns(loop: Loop, seat: Seat) -> bool:
    """Run the work of all connections that want to come back; True when the baton was lost over one."""
    returns: deque[Away] = loop.returns
    while returns:
        if returns.popleft().work_inline(loop, seat):
            if returns:
                loop.call_for_returns()
            return True
    return False


def tell_owners(loop: Loop, *, cut: bool = False) -> None:
    """Ask the owners of all AWAY connections to leave, or *cut* them off; from any thread."""
    for connection in list(loop.connections.values()):
        away = connection.away
        if away is not None and connection.state == AWAY:
            if cut:
                away.owner.cut()
            else:
                away.owner.leave()


def _unregister(loop: Loop, connection: Connection) -> None:
    if not connection.parked:
        with suppress(OSError, ValueError):
            loop.poll_set.unregister(connection.fd)
        connection.parked = True
