"""Threads that wait for a client, and what keeps them from being all there are.

A handler that reads its body off the network, or makes its answer while that is sent, stays in its thread: generators
and database connections belong to threads. What it waits for, a slow client, must not cost others anything. So:

1. a long body is given to a thread only while half of the pool is left for others (``may_stream``); beyond that the
   poll set receives it, see ``spool.py``;
2. a thread that begins to wait says so; when fewer than half of the pool's number do anything else, another is hired;
3. with ``limits.waiting_threads`` of those, the client that keeps its thread waiting longest is cut off.

Law: nobody waits while holding the lock, and whoever holds it takes no other lock but a bell's.
"""

from __future__ import annotations

import logging
import select
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from cherrypy.httpd.bell import Bell

if TYPE_CHECKING:
    from cherrypy.httpd.connection import Connection
    from cherrypy.httpd.crew import Crew
    from cherrypy.httpd.limits import Limits

log = logging.getLogger(__name__)

#: The kernel counts milliseconds in 31 bits; limits that are none ask for more.
LONGEST_POLL_S = 86400.0
#: A client is given this long before it can be cut off, as long as one thread at least is free.
_PATIENCE_S = 1.0
_PURPOSES = {select.POLLIN: "its body", select.POLLOUT: "it to take its answer"}


class CutOff(Exception):
    """The thread is needed elsewhere: this client has kept it waiting longest."""


class _Wait:
    """One thread's wait for one client."""

    __slots__ = ("bell", "connection", "events", "is_cut", "since")

    def __init__(self, connection: Connection, events: int, bell: Bell | None) -> None:
        self.connection = connection
        self.events = events
        self.bell = bell
        self.since = monotonic()
        self.is_cut = False


class Waits:
    """The waits of one run of a server.

    Args:
        crew: whose threads wait.
        limits: ``waiting_threads`` counts.
        threads: how many threads the pool has by its configuration.
    """

    def __init__(self, crew: Crew, limits: Limits, threads: int) -> None:
        self._crew = crew
        self._limits = limits
        self._threads = threads
        self._reserve = (threads + 1) // 2
        self._share = max(threads - self._reserve, 1)
        self._lock = Lock()
        self._waits: dict[_Wait, None] = {}  # in the order of their beginning
        self._cut = 0  # of those, the ones that are told to end
        self._bodies = 0
        crew.reserve = self._reserve
        crew.count_replaced = self._count_replaced

    def count(self) -> int:
        """How many threads wait for a client now."""
        return len(self._waits)

    def _count_replaced(self) -> int:
        return min(len(self._waits), self._limits.waiting_threads)

    @property
    def is_short(self) -> bool:
        """True while fewer threads than half of the pool do anything but wait."""
        return len(self._crew.seats) - len(self._waits) + self._cut < self._reserve

    # Bodies

    def may_stream(self) -> bool:
        """Ask whether a thread may read a long body off the network; if so, ``body_over`` is to be called once."""
        with self._lock:
            sending = sum(1 for wait in self._waits if wait.events == select.POLLOUT)
            taken = self._bodies + sending
            # and one thread must be left, or come, that polls
            if taken >= self._share or taken + 1 >= self._threads + self._limits.waiting_threads:
                return False
            self._bodies += 1
            return True

    def body_over(self) -> None:
        """The body that was allowed is there, or nobody waits for it any more."""
        with self._lock:
            self._bodies -= 1

    # Waiting

    def wait(self, connection: Connection, events: int, timeout_s: float) -> bool:
        """Wait until the socket is ready for *events* (``POLLIN`` or ``POLLOUT``); False when *timeout_s* is over.

        Only for threads that do not hold the baton.

        Raises:
            CutOff: the client is to be given up.
        """
        end = monotonic() + timeout_s
        poll = select.poll()
        poll.register(connection.fd, events)
        bell = _make_bell()
        if bell is not None:
            poll.register(bell.fd, select.POLLIN)
        wait = _Wait(connection, events, bell)
        with self._lock:
            self._waits[wait] = None
        try:
            is_ready = False
            while not (is_ready or wait.is_cut) and (left_s := end - monotonic()) > 0:
                left_s = min(left_s, LONGEST_POLL_S)
                if self.is_short and not self._find_a_thread(wait):
                    left_s = min(left_s, _PATIENCE_S)  # then look again
                is_ready = not wait.is_cut and bool(poll.poll(left_s * 1000))
        finally:
            with self._lock:
                del self._waits[wait]
                if wait.is_cut:
                    self._cut -= 1
            if bell is not None:
                bell.close()
        if wait.is_cut:
            raise CutOff
        return is_ready

    def _find_a_thread(self, newest: _Wait) -> bool:
        """Hire somebody in the place of the caller, or end the longest wait; False if that is still to come."""
        crew = self._crew
        most = max(self._threads, crew.most) + self._limits.waiting_threads
        if crew.baton.over or crew.hire_in_place(most, lambda: self.is_short):
            return True
        with self._lock:
            if not self.is_short:
                return True
            free = len(crew.seats) - len(self._waits) + self._cut
            longest = next((one for one in self._waits if not one.is_cut and one.bell is not None), newest)
            waited_s = monotonic() - longest.since
            if longest.is_cut:
                return True
            if free > 0 and waited_s < _PATIENCE_S:
                return False
            longest.is_cut = True
            self._cut += 1
            if longest.bell is not None:
                longest.bell.ring()
        purpose = _PURPOSES[longest.events]
        log.info("client cut off peer=%s waited for=%s seconds=%.1f", longest.connection.peer, purpose, waited_s)
        return True


def _make_bell() -> Bell | None:
    try:
        return Bell()
    except OSError:  # no descriptor is left: then this wait ends by its deadline
        return None
