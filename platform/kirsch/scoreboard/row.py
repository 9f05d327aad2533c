"""What one thread of a worker writes: the request that it is inside of, and what it has done."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable
from time import monotonic_ns, time_ns

from kirsch.scoreboard.layout import (
    BEGUN,
    BOUNDS_NS,
    CELL_BYTES,
    CELL_DURATION,
    CELL_OF_CLASS,
    ENTERED,
    EXEMPLAR,
    EXEMPLAR_FORM,
    FINISHED,
    HANDLER,
    HANDLER_LIMIT,
    IN_HANDLER,
    IS_SENDING,
    LATE_OF,
    PHASE,
    REQUEST_ID,
    REQUEST_ID_BYTES,
    THREAD,
    WAITED,
    WAITS,
    write_begin,
    write_late,
)

_FIRST_BOUND_NS = BOUNDS_NS[0]
_NOBODY = frozenset({0})
_write_exemplar = EXEMPLAR_FORM.pack_into

#: Gives a row, by its index, a cell for a handler: the words of the cell.
TakeCell = Callable[[int, int], memoryview]


class Row:
    """The part of a record that one thread writes.

    PERF: a request takes 0.75 us from begin to finish, naming its handler included (best of 400 rounds, 3 GHz).
    """

    __slots__ = (
        "_begun",
        "_cells",
        "_finished",
        "_octets",
        "_take_cell",
        "_thread",
        "_words",
        "handler",
        "ident",
        "index",
        "next_look",
    )

    def __init__(self, index: int, words: memoryview, octets: memoryview, take_cell: TakeCell) -> None:
        self.index = index
        self._words = words
        self._octets = octets
        self._take_cell = take_cell
        self._thread = threading.get_native_id()
        self.introduce()
        self.ident = threading.get_ident()
        """Of the thread, as ``sys._current_frames`` has it."""
        self.next_look = 0
        """When (monotonic nanoseconds) the waiting time of a request is to be measured again."""

    def introduce(self) -> None:
        """Say which thread it is, in a record that was just emptied."""
        self._words[THREAD] = self._thread
        self._begun = self._words[BEGUN]
        self._finished = self._words[FINISHED]
        self.handler = 0
        """What answers the request, by its number in the record."""
        self._cells: list[memoryview | None] = [None] * HANDLER_LIMIT

    @property
    def is_inside(self) -> bool:
        """True while its thread is inside of a request."""
        return bool(self._words[ENTERED])

    @property
    def request_id(self) -> str:
        """The id of the request that its thread is, or was last, inside of."""
        octets = bytes(self._octets[REQUEST_ID * 8 : REQUEST_ID * 8 + REQUEST_ID_BYTES])
        return octets.rstrip(b"\0").decode("latin-1")

    def begin(self, line: bytes, request_id: bytes = b"", handler: int = 0) -> int:
        """Say that the request *line* (``b"GET /"``) begins; return the moment, for ``finish``.

        *handler* is what it counts as if nobody says more.
        """
        now = monotonic_ns()
        self._begun = begun = self._begun + 1
        self.handler = handler
        write_begin(self._octets, ENTERED * 8, now, IN_HANDLER, begun, line, request_id, handler, begun)
        return now

    def handled_by(self, handler: int) -> None:
        """Say what answers the request, by its number in the record."""
        self.handler = self._words[HANDLER] = handler

    def waited(self, wait_ns: int) -> None:
        """Say how long the request had waited for this thread: of some requests, not of each."""
        self._words[WAITED] += wait_ns
        self._words[WAITS] += 1

    def find_unnamed(self, for_ns: int, unnamed: frozenset[int] = _NOBODY) -> int:
        """Return which request (its count) has been inside for *for_ns* as one of *unnamed*; 0 for none.

        May be asked by any thread of the process, as it may name the handler then.
        """
        words = self._words
        begun, entered = words[BEGUN], words[ENTERED]
        is_named = words[LATE_OF] == begun or words[HANDLER] not in unnamed
        return begun if entered and not is_named and monotonic_ns() - entered >= for_ns else 0

    def name_handler(self, begun: int, handler: int) -> None:
        """Show what answers the request of the count *begun*; of no meaning once the thread is inside of another."""
        write_late(self._octets, LATE_OF * 8, begun, handler)

    def sending(self) -> None:
        """Say that the handler has answered, and its body goes out piece by piece."""
        self._words[PHASE] = IS_SENDING

    def leave(self) -> None:
        """Say that this thread left the handler; the answer still streams, and some thread's row will ``finish`` it."""
        self._words[ENTERED] = 0

    def finish(self, began: int, status_class: int, body_bytes: int = 0) -> None:
        """Say that the request that began at *began* was answered; *status_class* is 1 to 5."""
        took = monotonic_ns() - began
        cell = self._cells[self.handler]
        if cell is None:
            cell = self._cell_of(self.handler)
        # PERF: most answers take less than the first bound: 0.06 us for the search saved
        if took <= _FIRST_BOUND_NS:
            cell[CELL_OF_CLASS[status_class]] += 1
        else:
            cell[CELL_OF_CLASS[status_class] + bisect_left(BOUNDS_NS, took)] += 1
            self._remember(cell, took)
        cell[CELL_DURATION] += took
        if body_bytes:
            cell[CELL_BYTES] += body_bytes
        words = self._words
        self._finished = words[FINISHED] = self._finished + 1
        words[ENTERED] = 0

    def finish_for(self, handler: int, began: int, status_class: int, body_bytes: int = 0) -> None:
        """Say that a request was answered that another thread may have begun, of the handler with that number."""
        # what stands here of a request is of another one
        write_begin(self._octets, ENTERED * 8, 0, 0, self._begun, b"", b"", 0, self._begun)
        self.handler = handler
        self.finish(began, status_class, body_bytes)

    def _cell_of(self, handler: int) -> memoryview:
        found = self._cells[handler] = self._take_cell(self.index, handler)
        return found

    def _remember(self, cell: memoryview, took: int) -> None:
        """Leave the id of a request that was not among the fastest: where to look when somebody asks why."""
        now = time_ns()
        octets = bytes(self._octets[REQUEST_ID * 8 : REQUEST_ID * 8 + REQUEST_ID_BYTES])
        if octets[0]:
            with cell.cast("B") as target:
                _write_exemplar(target, EXEMPLAR * 8, now, took, octets, now)


class SharedRow(Row):
    """The last row, for all threads that came when the others were taken: under a lock, so that no count is lost.

    Of what they do at the same time one handler may be counted as the other; their sum is right.
    """

    __slots__ = ("_lock",)

    def __init__(self, index: int, words: memoryview, octets: memoryview, take_cell: TakeCell) -> None:
        super().__init__(index, words, octets, take_cell)
        self._lock = threading.RLock()

    def begin(self, line: bytes, request_id: bytes = b"", handler: int = 0) -> int:
        """As a row of its own does."""
        with self._lock:
            return super().begin(line, request_id, handler)

    def waited(self, wait_ns: int) -> None:
        """As a row of its own does."""
        with self._lock:
            super().waited(wait_ns)

    def finish(self, began: int, status_class: int, body_bytes: int = 0) -> None:
        """As a row of its own does."""
        with self._lock:
            super().finish(began, status_class, body_bytes)

    def finish_for(self, handler: int, began: int, status_class: int, body_bytes: int = 0) -> None:
        """As a row of its own does."""
        with self._lock:
            super().finish_for(handler, began, status_class, body_bytes)
