"""What one thread of a worker writes: the request that it is inside of, and what it has done."""

from __future__ import annotations

import threading
from bisect import bisect_left
from time import monotonic_ns

from kirsch.scoreboard.layout import (
    BEGUN,
    BOUNDS_NS,
    CELL_OF_CLASS,
    DURATION,
    ENTERED,
    HANDLER_OF,
    IN_HANDLER,
    IS_SENDING,
    PHASE,
    THREAD,
    WAITED,
    WAITS,
    write_begin,
    write_handler,
)

_FIRST_BOUND_NS = BOUNDS_NS[0]


class Row:
    """The part of a record that one thread writes.

    PERF: a request takes 0.6 us from begin to finish, naming its handler 0.15 more (best of 400 rounds, 3 GHz).
    """

    __slots__ = ("_begun", "_duration", "_octets", "_thread", "_words", "ident", "next_look")

    def __init__(self, words: memoryview, octets: memoryview) -> None:
        self._words = words
        self._octets = octets
        self._begun = words[BEGUN]
        self._duration = words[DURATION]
        self._thread = threading.get_native_id()
        self.introduce()
        self.ident = threading.get_ident()
        """Of the thread, as ``sys._current_frames`` has it."""
        self.next_look = 0
        """When (monotonic nanoseconds) the waiting time of a request is to be measured again."""

    def introduce(self) -> None:
        """Say which thread it is, in a record that was just emptied."""
        self._words[THREAD] = self._thread

    def begin(self, line: bytes, request_id: bytes = b"") -> int:
        """Say that the request *line* (``b"GET /"``) begins; return the moment, for ``finish``."""
        now = monotonic_ns()
        self._begun = begun = self._begun + 1
        write_begin(self._octets, ENTERED * 8, now, IN_HANDLER, begun, line, request_id, begun)
        return now

    def handled_by(self, handler: bytes) -> None:
        """Say what answers the request: ``b"shop/web.py: Shop.cart"``."""
        write_handler(self._octets, HANDLER_OF * 8, self._begun, handler)

    def waited(self, wait_ns: int) -> None:
        """Say how long the request had waited for this thread: of some requests, not of each."""
        self._words[WAITED] += wait_ns
        self._words[WAITS] += 1

    def find_unnamed(self, for_ns: int) -> int:
        """Return which request (its count) has been inside for *for_ns* without a handler's name; 0 for none.

        May be asked by any thread of the process, as it may name the handler then.
        """
        words = self._words
        begun, entered = words[BEGUN], words[ENTERED]
        is_named = words[HANDLER_OF] == begun
        return begun if entered and not is_named and monotonic_ns() - entered >= for_ns else 0

    def name_handler(self, begun: int, handler: bytes) -> None:
        """Say what answers the request of the count *begun*; of no meaning once the thread is inside of another."""
        write_handler(self._octets, HANDLER_OF * 8, begun, handler)

    def sending(self) -> None:
        """Say that the handler has answered, and its body goes out piece by piece."""
        self._words[PHASE] = IS_SENDING

    def leave(self) -> None:
        """Say that this thread left the handler; the answer still streams, and some thread's row will ``finish`` it."""
        self._words[ENTERED] = 0

    def finish(self, began: int, status_class: int) -> None:
        """Say that the request that began at *began* was answered; *status_class* is 1 to 5."""
        took = monotonic_ns() - began
        words = self._words
        # PERF: most answers take less than the first bound: 0.06 us for the search saved
        bucket = 0 if took <= _FIRST_BOUND_NS else bisect_left(BOUNDS_NS, took)
        words[CELL_OF_CLASS[status_class] + bucket] += 1
        self._duration = words[DURATION] = self._duration + took
        words[ENTERED] = 0


class SharedRow(Row):
    """The last row, for all threads that came when the others were taken: under a lock, so that no count is lost."""

    __slots__ = ("_lock",)

    def __init__(self, words: memoryview, octets: memoryview) -> None:
        super().__init__(words, octets)
        self._lock = threading.Lock()

    def begin(self, line: bytes, request_id: bytes = b"") -> int:
        """As a row of its own does."""
        with self._lock:
            return super().begin(line, request_id)

    def waited(self, wait_ns: int) -> None:
        """As a row of its own does."""
        with self._lock:
            super().waited(wait_ns)

    def finish(self, began: int, status_class: int) -> None:
        """As a row of its own does."""
        with self._lock:
            super().finish(began, status_class)
