"""The loop: what is ready on which connection, and who reacts. Driven by the holder of the baton.

Law: nothing here blocks. A method that answers True has lost the baton on the way: its caller returns at once and
touches no connection any more. Events that it had still in hand come again, since the poll set is level-triggered.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from cherrypy.httpd import exchange
from cherrypy.httpd.acceptor import Acceptor
from cherrypy.httpd.away import Away, run_returns, send_away, tell_owners, watch
from cherrypy.httpd.bell import Bell
from cherrypy.httpd.connection import (
    AWAY,
    BODY,
    BUSY,
    CLOSED,
    DISCARD,
    GREETING,
    HANDSHAKE,
    HEAD,
    LINGER,
    SPOOL,
    WRITE,
    Connection,
)
from cherrypy.httpd.deadlines import Deadlines
from cherrypy.httpd.flush import send_pending
from cherrypy.httpd.pollset import READ, WRITABLE, PollSet
from cherrypy.httpd.receive import Receiver
from cherrypy.httpd.remains import Remains
from cherrypy.httpd.sending import CUT, END, FLUSH, KEEP, LATER, READY, send_ready
from cherrypy.httpd.spool import Spools
from cherrypy.httpd.streambody import StreamBody

if TYPE_CHECKING:
    from cherrypy.httpd.baton import Baton, Seat
    from cherrypy.httpd.message import Message
    from cherrypy.httpd.server import Server

_EVENTS = 256
#: How long a finished answer may wait for others to be sent with; see ``Loop.flush``.
_WAIT_S = 0.0005
#: How long the end waits for the baton; whoever is inside a request has it taken away.
_CLOSE_S = 2.0

log = logging.getLogger(__name__)


class Loop(PollSet):
    """All connections of one server, and who reacts to what they do.

    Attributes:
        ready: connections in whose buffer a whole request may lie.
        outbox: connections with a whole answer that is not sent yet; empty whenever nobody holds the baton.
        returns: connections that were AWAY and are to go on here.
        batch: see ``Message.batch``.
        current: the connection being looked at, to be blamed for an error in the loop.
        sweep_at: when deadlines are looked at next.
        waits, spools: threads that wait for clients, and the long bodies that none waits for.
    """

    def __init__(self, server: Server, baton: Baton) -> None:
        super().__init__(server.limits, baton)
        self.server = server
        self.ready: deque[Connection] = deque()
        self.outbox: list[Connection] = []
        self._outbox_since = 0.0
        self.batch: dict[Any, Any] | None = None
        baton.before_handing_over = self.flush
        self.current: Connection | None = None
        self.sweep_at = 0.0
        self.returns: deque[Away] = deque()
        self._waker, self._returner = Bell(), Bell()
        self.poll_set.register(self._waker.fd, READ)
        self.poll_set.register(self._returner.fd, READ)
        self.waits = server.waits
        self.spools = Spools(server.limits)
        self.acceptor = Acceptor(self)
        self.receiver = Receiver(self)
        self.remains = Remains(self)
        self.deadlines = Deadlines(self)
        self._timeout_s = self.deadlines.timeout_s
        self._reactions: dict[int, Callable[[Connection, Seat], bool]] = {
            HEAD: self.receiver.read_head,
            BODY: self.receiver.read_body,
            SPOOL: self.receiver.read_spool,
            BUSY: self.park,
            WRITE: self._write,
            DISCARD: self.remains.discard,
            LINGER: self.remains.linger,
            HANDSHAKE: self._handshake,
            GREETING: self._greet,
            AWAY: lambda connection, seat: watch(self, connection, seat),
            CLOSED: lambda connection, seat: False,
        }

    def turn(self, seat: Seat) -> bool:
        """Poll once and react to everything that is ready; True when the baton was lost."""
        connections = self.connections
        read_head = self.receiver.read_head
        events = self.poll_set.poll(self._timeout_s(), _EVENTS)
        self.now = monotonic()
        self.batch = {} if len(events) > 1 else None
        for fd, _ in events:
            self.current = connection = connections.get(fd)
            if connection is None:
                if self._react_to_other(fd, seat):
                    return True
            elif connection.state == HEAD:
                if read_head(connection, seat):
                    return True
            elif self._reactions[connection.state](connection, seat):
                return True
        ready = self.ready
        if ready:
            self.batch = None  # these came behind others of the same connections
        for _ in range(len(ready)):
            self.current = connection = ready.popleft()
            connection.queued = False
            if connection.state == HEAD:
                if self.receiver.go_on(connection, seat):
                    return True
            elif connection.state == SPOOL and self.receiver.read_spool(connection, seat):
                return True
        if self.outbox:
            self.flush()
        if self.now >= self.sweep_at:
            self.deadlines.sweep()
        return False

    def flush(self) -> None:
        """Send the answers of this turn, one after the other.

        PERF: a send takes the kernel through its whole network stack, and Python comes back to cold caches. Handlers in
        a row and then sends in a row: 16.4 -> 22.3 thousand requests/s (make bench, hello). An answer waits for
        ``_WAIT_S`` and one handler at most: whoever hands the baton over sends what is there first.
        """
        outbox = self.outbox
        self._end_batch()
        while outbox:
            waiting = outbox[:]
            outbox.clear()
            for connection in waiting:
                connection.queued = False
                outcome = send_ready(connection)
                if outcome is KEEP:
                    self._await_next(connection)
                else:
                    self._apply(connection, outcome)

    def _await_next(self, connection: Connection) -> None:
        """Wait for the next request of a connection whose answer is out, or take it up if it is there."""
        limits = self.limits
        connection.deadline = self.now + limits.idle_s
        connection.state = HEAD
        if limits.requests and connection.served >= limits.requests - 1:
            connection.last = True
        if connection.buffer:
            connection.queued = True
            self.ready.append(connection)

    def _end_batch(self) -> None:
        """Let what comes in from here on be of another batch: an answer is out, and who gets it may act on it."""
        if self.batch:
            self.batch = {}

    def wake(self) -> None:
        """Make the holder's poll return, and look at every deadline; callable from any thread."""
        self._waker.ring()

    def call_for_returns(self) -> None:
        """Have the holder look at ``returns``; callable from any thread."""
        self._returner.ring()

    def close(self) -> None:
        """Free the descriptors; nobody polls any more. What is BUSY or AWAY is closed by its owner, in the end.

        Law: a number that is closed may be another descriptor the next moment, in another server of this process. So
        this needs the baton, as all who touch the connections here do, and the mutex, as those who hand theirs back.
        """
        tell_owners(self, cut=True)
        baton = self.baton
        if not baton.seize(_CLOSE_S):
            log.error("descriptors stay open: a thread of the server is stuck connections=%d", len(self.connections))
            return
        with baton.mutex:
            for connection in list(self.connections.values()):
                if connection.state not in (AWAY, BUSY):
                    self.drop(connection)
            self.acceptor.close()
            self.poll_set.close()
            self._waker.close()
            self._returner.close()
        baton.release()

    def run(self, connection: Connection, message: Message, seat: Seat) -> bool:
        """Run one request in this thread and settle its connection; True when the baton was lost over it."""
        slot = seat.slot
        baton = self.baton
        message.entering = seat.entering
        message.batch = self.batch
        seat.key = None
        seat.timed = 0
        seat.serial += 1
        slot.append(connection)
        if baton.asleep:
            baton.rouse()
        if message.body.__class__ is StreamBody:
            baton.give(seat)
        server = self.server
        outcome = exchange.run(server.respond, server, connection, message, seat)
        connection.served += 1
        try:
            slot.pop()
        except IndexError:
            self.settle_outside(connection, message, seat, outcome)
            return True
        if outcome is READY:
            self._post(connection)
            return False
        self._end_batch()
        if outcome is KEEP:
            self._await_next(connection)
        else:
            self._apply(connection, outcome)
        return False

    def settle_inside(self, connection: Connection, outcome: str) -> None:
        """Bring a connection into the state that follows *outcome*; for the holder of the baton."""
        if outcome is READY and not connection.parked:
            # It may have input in this very turn, behind the event that brought it back: not before its answer is out.
            connection.queued = True
            self._post(connection)
        else:
            # one that is out of the poll set has to come back into it
            self._apply(connection, send_ready(connection) if outcome is READY else outcome)

    def _post(self, connection: Connection) -> None:
        """Put a finished answer into the outbox."""
        if not self.outbox:
            self._outbox_since = monotonic()
            self.outbox.append(connection)
        else:
            self.outbox.append(connection)
            if monotonic() - self._outbox_since > _WAIT_S:
                self.flush()

    def settle_outside(self, connection: Connection, message: Message, seat: Seat, outcome: str) -> None:
        """Hand the connection back to whoever holds the baton now; from any thread."""
        if outcome is READY:
            outcome = send_ready(connection)
        body = message.body
        if body.__class__ is StreamBody:
            if outcome is LATER:
                body.return_share()
            else:
                body.end()
        with self.baton.mutex:
            seat.inside = False
            seat.learn()
            self.now = monotonic()
            if body.__class__ is StreamBody:
                connection.buffer = body.rest
                connection.message = None if body.complete else message  # the rest of it is to be discarded
            self._apply(connection, outcome)
        if connection.queued or self.server.leaving:
            self.wake()

    def _apply(self, connection: Connection, outcome: str) -> None:
        """Bring a connection into the state that follows an exchange, and tell the poll set."""
        if self.poll_set.closed:  # the server ended without waiting for this request
            if outcome is LATER:
                send_away(self, connection)
            else:
                connection.close()
            return
        limits = self.limits
        if outcome is KEEP:
            if connection.message is not None:
                connection.state = DISCARD
                connection.taken = 0
                connection.deadline = self.now + limits.linger_s
            else:
                self._await_next(connection)
            self.want(connection, READ)
        elif outcome is FLUSH:
            connection.state = WRITE
            connection.deadline = self.now + limits.write_grace_s
            self.want(connection, WRITABLE)
        elif outcome is END:
            self.leave(connection)
        elif outcome is LATER:
            send_away(self, connection)
        else:
            self.drop(connection, abruptly=outcome is not CUT)

    def _write(self, connection: Connection, seat: Seat) -> bool:
        """The client takes more of its answer."""
        sent = send_pending(connection)
        if sent is None:
            self.drop(connection)
            return False
        seat.bytes_out += sent
        connection.deadline += sent / max(self.limits.write_rate_bytes_per_s, 1e-9)
        if connection.out is None:
            self._apply(connection, KEEP if connection.keep else END)
        return False

    def _handshake(self, connection: Connection, seat: Seat) -> bool:
        waits_for = self.acceptor.shake_hands(connection)
        if waits_for == "refused":
            self.leave(connection)
        elif waits_for == "done":
            connection.state = HEAD
            connection.deadline = self.now + self.limits.head_s
            self.want(connection, READ)
            return self.receiver.read_head(connection, seat)
        else:
            self.want(connection, WRITABLE if waits_for == "write" else READ)
        return False

    def _greet(self, connection: Connection, seat: Seat) -> bool:
        if not self.acceptor.greet(connection):
            self.drop(connection)
        return False

    def _react_to_other(self, fd: int, seat: Seat) -> bool:
        if fd == self._returner.fd:
            self._returner.hush()
            return run_returns(self, seat)
        if fd == self._waker.fd:
            self._waker.hush()
            self.sweep_at = 0.0
        elif fd in self.acceptor.by_fd:
            self.acceptor.accept(fd)
        # otherwise: closed since the poll, by the thread that ran its request
        return False
