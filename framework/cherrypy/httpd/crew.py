"""The threads of a server: those that are always there, and those that are hired while all are busy.

Law: the lists are replaced, never changed, so whoever reads them needs no lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from cherrypy.httpd.baton import Baton, Seat

log = logging.getLogger(__name__)

#: A thread hired by need leaves when the baton has not come to it for this long; one that polls stays.
SPARE_S = 30.0
#: For threads that stay.
FOR_EVER_S = -1.0


class Crew:
    """The seats and threads of one run of a server.

    Args:
        baton: what the threads wait for.
        work: body of a thread, called with its seat and the seconds that it waits for the baton (-1: for ever). It
            returns when the server stops, or after ``retire``.
        most: how many threads there may be by need; fewer than there are: none are hired by need.

    Attributes:
        seats, threads: of those that are there, in the order in which they came.
        gone: has the counters of those that have left.
        reserve: nobody leaves while no more than this many do anything but wait for clients.
        count_replaced: says how many wait for clients and have somebody else in their place, see ``waits.py``.
    """

    def __init__(self, baton: Baton, work: Callable[[Seat, float], None], most: int = 0) -> None:
        self.baton = baton
        self.work = work
        self.most = most
        self.seats: list[Seat] = []
        self.threads: list[threading.Thread] = []
        self.gone = Seat(baton)
        self._changing = threading.Lock()
        self._hired = 0
        self.reserve = 0
        self.count_replaced: Callable[[], int] = lambda: 0
        baton.when_starved = self.hire_by_need

    def hire(
        self,
        count: int,
        patience_s: float = FOR_EVER_S,
        most: int | None = None,
        is_needed: Callable[[], bool] = lambda: True,
    ) -> int:
        """Start *count* threads more, but no more than *most* altogether, and if *is_needed* still; returns how many.

        Raises:
            RuntimeError: the system gives no more threads.
        """
        with self._changing:
            if most is not None:
                count = min(count, most - len(self.seats))
            if self.baton.over or count <= 0 or not is_needed():
                return 0
            for _ in range(count):
                self._hired += 1
                seat = Seat(self.baton)
                name = f"CP Server Thread-{self._hired}"
                thread = threading.Thread(target=self.work, args=(seat, patience_s), name=name, daemon=True)
                before = self.seats, self.threads
                self.seats = [*self.seats, seat]
                self.threads = [*self.threads, thread]
                try:
                    thread.start()
                except RuntimeError:
                    self.seats, self.threads = before
                    raise
            return count

    def hire_by_need(self) -> bool:
        """Start one thread more if there may be more; called by the watcher while nobody can take the baton."""
        return self.hire_in_place(self.most + self.count_replaced())

    def hire_in_place(self, most: int, is_needed: Callable[[], bool] = lambda: True) -> bool:
        """Start one thread more, up to *most* altogether, in the place of one that is busy; False if there is none."""
        try:
            return self.hire(1, SPARE_S, most, is_needed) > 0
        except RuntimeError as error:  # the system gives no more threads: those that are there go on
            log.warning("no further thread threads=%d reason=%s", len(self.threads), error)
            return False

    def retire(self, seat: Seat) -> bool:
        """Let the thread of *seat*, the caller, be no longer one of them; its counters stay. False if it must stay."""
        leaver = threading.current_thread()
        with self._changing:
            if len(self.seats) - self.count_replaced() <= self.reserve:
                return False
            self.seats = [one for one in self.seats if one is not seat]
            self.threads = [one for one in self.threads if one is not leaver]
            gone = self.gone
            gone.serial += seat.serial
            gone.returns += seat.returns
            gone.bytes_in += seat.bytes_in
            gone.bytes_out += seat.bytes_out
            return True
