"""The life of a server: prepare, serve, drain, stop. What happens on its sockets is in ``loop.py``.

``Server(("127.0.0.1", 8080), respond).run()`` serves until Ctrl-C; ``prepare`` and ``serve`` are its two halves.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from socket import SHUT_RDWR
from time import monotonic

from cherrypy.httpd.away import tell_owners
from cherrypy.httpd.baton import Baton, Seat
from cherrypy.httpd.connection import AWAY, BUSY, HEAD
from cherrypy.httpd.crew import SPARE_S, Crew
from cherrypy.httpd.errors import ServerStateError
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.listener import BindAddress, Listener
from cherrypy.httpd.loop import Loop
from cherrypy.httpd.message import Responder
from cherrypy.httpd.queue_depth import QueueDepth
from cherrypy.httpd.waits import Waits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stats:
    """A server's counters at one moment.

    ``threads_busy`` counts those inside a request, ``threads_waiting`` those of them that wait for their client;
    ``in_flight`` is also requests and sockets that need no thread, ``spooled_bytes`` what of long bodies these hold.
    """

    accepted: int
    refused: int
    socket_errors: int
    connections: int
    idle_connections: int
    requests: int
    in_flight: int
    bytes_in: int
    bytes_out: int
    threads: int
    threads_busy: int
    threads_idle: int
    threads_waiting: int
    spooled_bytes: int


class Server:
    """An HTTP/1.1 server for one responder.

    Args:
        bind: one address (see ``listener.BindAddress``), or a list of ``Listener``.
        respond: answers requests; may be replaced while the server serves.
        limits: what is let in and for how long; may be changed while the server serves.
        threads: how many requests can run at once.
        threads_max: while all threads are busy more are started, up to this many; they leave after a while. With 0, or
            anything up to *threads*, their number is fixed.
        server_name: value of the Server field for answers that have none; None for no field.

    Attributes:
        ready: True while connections are accepted and answered.
        draining: every answer closes its connection.
        stopping: the same, and nothing new is accepted.
        waits: of its threads for clients.
    """

    def __init__(
        self,
        bind: BindAddress | Sequence[Listener],
        respond: Responder,
        *,
        limits: Limits | None = None,
        threads: int = 10,
        threads_max: int = 0,
        server_name: str | None = None,
    ) -> None:
        self.listeners = [Listener(bind)] if isinstance(bind, tuple | str | int) else list(bind)
        self.respond = respond
        self.limits = limits or Limits()
        self.threads = threads
        self.threads_max = threads_max
        self.server_name = server_name.encode("latin-1") if server_name else None
        self.ready = False
        self.draining = False
        self.stopping = False
        self.leaving = False  # draining or stopping: asked once a request
        self._interrupt: BaseException | None = None
        self._serving = False
        self._over = threading.Event()
        self._wanted = threading.Event()  # something for serve() to look at
        self._baton = Baton()
        self._crew = Crew(self._baton, self._work)
        self.waits = Waits(self._crew, self.limits, max(threads, 1))
        self._loop: Loop | None = None

    # life

    def prepare(self) -> None:
        """Bind and listen; connections queue up from now on.

        Raises:
            OSError: an address cannot be had; nothing is left open.
        """
        if self._loop is not None:
            raise ServerStateError("the server is prepared already")
        self.draining = self.stopping = self.leaving = False
        self._interrupt = None
        self._over.clear()
        self._wanted.clear()
        self._baton = Baton()
        self._crew = Crew(self._baton, self._work, self.threads_max)
        self.waits = Waits(self._crew, self.limits, max(self.threads, 1))
        self._serving = False
        opened: list[Listener] = []
        try:
            for listener in self.listeners:
                listener.open(self.limits.backlog)
                opened.append(listener)
        except OSError:
            for listener in opened:
                listener.close()
            raise
        self._loop = Loop(self, self._baton)
        self._baton.when_starved = QueueDepth(self._loop, self._baton, self._crew.hire_by_need).look
        for listener in self.listeners:
            self._loop.acceptor.add(listener)

    def serve(self) -> None:
        """Answer requests until ``stop`` is called; blocks.

        Raises:
            BaseException: what was set as ``interrupt``, after a stop of at most ``limits.stop_s``.
        """
        loop = self._loop
        if loop is None:
            raise ServerStateError("prepare the server before it serves")
        self._serving = True
        self._crew.hire(max(self.threads, 1))
        threading.Thread(target=self._baton.watch, name="CP Server Watcher", daemon=True).start()
        self.ready = not self.stopping
        try:
            self._wanted.wait()
        finally:
            if not self._over.is_set():
                self.stop(self.limits.stop_s)
            self._clean_up(loop)
        if self._interrupt is not None:
            raise self._interrupt

    def run(self) -> None:
        """Prepare and serve; Ctrl-C stops."""
        self.prepare()
        try:
            self.serve()
        except KeyboardInterrupt:
            log.info("interrupted")

    def stop(self, timeout_s: float | None = None) -> bool:
        """Listen no longer, let running requests finish, close everything; False when *timeout_s* cut some off.

        May be called from any thread, also from inside a request: then that request is not waited for.
        """
        loop = self._loop
        if loop is None:
            return True
        self.ready = False
        self.leaving = self.stopping = True
        if not self._serving:  # prepared, but never served
            self._loop = None
            loop.close()
            self.end()
            return True
        if self.owns_thread():
            for seat in self._crew.seats:
                if seat.slot and self._baton.holder is seat:
                    self._baton.give(seat)
            tell_owners(loop)
            loop.wake()
            return True
        tell_owners(loop)
        loop.wake()
        finished = self._over.wait(self.limits.stop_s if timeout_s is None else timeout_s)
        if not finished:
            self._cut_off(loop)
        self._wanted.set()
        return finished

    def owns_thread(self, thread: threading.Thread | None = None) -> bool:
        """True for a thread that runs requests of this server; without an argument, for the caller's own."""
        return (thread or threading.current_thread()) in self._crew.threads

    def grow(self, count: int, most: int) -> int:
        """Start *count* threads at once, up to *most* altogether; returns how many. They leave when they are spare."""
        return self._crew.hire(count, SPARE_S, most) if self._serving else 0

    def drain(self, deadline_s: float) -> bool:
        """Go on serving, but make every answer the last on its connection; True once no connection is left.

        Connections are still accepted, and idle ones are never closed first: behind a proxy nothing is lost.
        """
        loop = self._loop
        if loop is None:
            return True
        self.leaving = self.draining = True
        tell_owners(loop)
        end = monotonic() + deadline_s
        while loop.connections and not self._over.is_set():
            left = end - monotonic()
            if left <= 0:
                return False
            self._over.wait(min(left, 0.02))
        return True

    def shed(self) -> int:
        """Make the next answer of every connection that is open now its last; returns how many those are.

        Nothing is closed here and newcomers are kept: clients of many servers (proxies) spread themselves anew.
        """
        loop = self._loop
        connections = list(loop.connections.values()) if loop else []
        for connection in connections:
            connection.last = True
        return len(connections)

    def ask_to_leave(self) -> None:
        """Ask streams and WebSockets to come to an end, as ``drain`` does; everything else goes on."""
        if self._loop is not None:
            tell_owners(self._loop)

    def end(self) -> None:
        """The last connection has gone after ``stop``; called by the loop."""
        self._over.set()
        self._wanted.set()

    @property
    def interrupt(self) -> BaseException | None:
        """Set it to an exception to stop the server and have ``serve`` raise it."""
        return self._interrupt

    @interrupt.setter
    def interrupt(self, error: BaseException | None) -> None:
        self._interrupt = error
        if error is not None:
            self._wanted.set()

    # facts

    @property
    def bind_addr(self) -> BindAddress:
        """Where the first listener really listens."""
        return self.listeners[0].bound

    @property
    def socket(self) -> object:
        """The first listening socket; None while the server is stopped."""
        return self.listeners[0].sock

    def stats(self) -> Stats:
        """Count what has happened and what is going on."""
        loop = self._loop
        seats = self._crew.seats
        counted = [*seats, self._crew.gone]
        busy = sum(1 for seat in seats if seat.inside or seat.slot)
        connections = list(loop.connections.values()) if loop else []
        return Stats(
            accepted=loop.acceptor.accepted if loop else 0,
            refused=loop.acceptor.refused if loop else 0,
            socket_errors=loop.acceptor.errors if loop else 0,
            connections=len(connections),
            idle_connections=sum(1 for one in connections if one.state == HEAD and not one.buffer),
            requests=sum(seat.serial - seat.returns for seat in counted),
            in_flight=busy + sum(1 for one in connections if one.state == AWAY),
            bytes_in=sum(seat.bytes_in for seat in counted),
            bytes_out=sum(seat.bytes_out for seat in counted),
            threads=len(seats),
            threads_busy=busy,
            threads_idle=len(seats) - busy,
            threads_waiting=self.waits.count(),
            spooled_bytes=loop.spools.held_bytes + loop.spools.room_bytes if loop else 0,
        )

    def thread_counters(self) -> dict[str, tuple[int, int, int]]:
        """The (requests, octets read, octets written) of each thread, by its name.

        Whoever holds the baton reads and writes for all: octets are those that the thread has moved, not its requests'.
        """
        crew = self._crew
        return {
            thread.name: (seat.serial - seat.returns, seat.bytes_in, seat.bytes_out)
            for thread, seat in zip(crew.threads, crew.seats, strict=False)
        }

    def waiting(self) -> int:
        """How many connections wait for a thread to look at them: 0 unless all are inside requests at this moment."""
        loop = self._loop
        return loop.acceptor.count_waiting() if loop is not None and self._baton.holder is None else 0

    # threads

    def _work(self, seat: Seat, patience_s: float) -> None:
        """Body of a pool thread: wait for the baton, poll while it is held; leave when it does not come."""
        baton = self._baton
        loop = self._loop
        if loop is None:
            return
        turn = loop.turn
        over = self._over.is_set
        while not over():
            if not baton.take(seat, patience_s):
                if self._crew.retire(seat):
                    return
                continue
            try:
                while not over():
                    if turn(seat):
                        break
                else:
                    baton.release()
            except BaseException:  # without its threads the server would be dumb
                log.exception("the server's loop failed; it goes on")
                self._recover(loop, seat)

    def _recover(self, loop: Loop, seat: Seat) -> None:
        """After an error in the server itself: leave the baton in exactly one hand, and the culprit out."""
        baton = self._baton
        with baton.mutex:
            seat.slot.clear()
            seat.inside = False
            if baton.holder is seat:
                if loop.current is not None and loop.current.state not in (BUSY, AWAY):
                    loop.drop(loop.current, abruptly=True)
                baton.release()

    def _cut_off(self, loop: Loop) -> None:
        """Take the sockets from requests that did not finish in time; their threads notice on their own."""
        log.warning("stopped with requests running count=%d", self.stats().in_flight)
        with self._baton.mutex:  # who hands a connection back, to be closed, needs it as well
            for connection in list(loop.connections.values()):
                if connection.state == BUSY:
                    with suppress(OSError):  # gone already
                        connection.sock.shutdown(SHUT_RDWR)
        tell_owners(loop, cut=True)
        self._over.set()

    def _clean_up(self, loop: Loop) -> None:
        """Free sockets and threads; a hung thread stays behind, as a daemon."""
        self.ready = False
        self._baton.stop_watching()
        loop.wake()
        current = threading.current_thread()
        end = monotonic() + 0.5
        for thread in self._crew.threads:
            if thread is not current:
                thread.join(max(end - monotonic(), 0.01))
        loop.close()
        self._loop = None
