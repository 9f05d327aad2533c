"""Handlers of one record: their names, written once each, and the cells that threads count in.

Both are given out in order and counted after they are whole, so that a reader needs no lock. Cells are summed as what
they are, rows of 64-bit lanes: as one long integer a cell, which adds all of its 77 numbers at once.
"""

from __future__ import annotations

import sys
import threading
from functools import lru_cache

from kirsch.scoreboard.layout import (
    CELL_DURATION,
    CELL_HANDLER,
    CELL_LIMIT,
    CELL_WORDS,
    CELLS_USED,
    EXEMPLAR,
    EXEMPLAR_FORM,
    HANDLER_LIMIT,
    HANDLER_TEXTS,
    HANDLER_WORDS,
    HANDLERS_USED,
    PAGE_WORDS,
    RECORD_WORDS,
    ROW_WORDS,
    SUMS_BYTES,
)
from kirsch.scoreboard.values import NOBODY, OTHERS, Counters, Exemplar, Handled, Handler, Progress

_RESERVED = (NOBODY, OTHERS)
NOBODYS, OTHERS_NUMBER = range(2)
_CELL_BYTES = CELL_WORDS * 8

#: An exemplar as it stands in the file, behind its moment.
Seen = tuple[int, bytes]
NEVER: Seen = (0, b"")


class Directory:
    """The handlers and cells of a record.

    Args:
        words: of the record.
        octets: the same, as octets.
        rows: how many rows it has.
    """

    def __init__(self, words: memoryview, octets: memoryview, rows: int) -> None:
        self._words = words
        self._octets = octets
        self._rows = rows
        self._handlers_at = RECORD_WORDS + rows * ROW_WORDS
        self._cells_at = self._handlers_at + HANDLER_LIMIT * HANDLER_WORDS
        self._lock = threading.Lock()
        self._numbers: dict[Handler, int] = {}

    @staticmethod
    def record_words(rows: int) -> int:
        """Return how many words a record of so many rows has: whole pages."""
        words = RECORD_WORDS + rows * ROW_WORDS + HANDLER_LIMIT * HANDLER_WORDS + (CELL_LIMIT + rows) * CELL_WORDS
        return -(-words // PAGE_WORDS) * PAGE_WORDS

    # What its writer does

    def number(self, handler: Handler) -> int:
        """Return the number of *handler*, a new one if need be, that of all the others if there is no room."""
        if handler in _RESERVED:
            return _RESERVED.index(handler)
        with self._lock:
            if not self._numbers:
                self._numbers = {known: number for number, known in enumerate(self.handlers())}
            known = self._numbers.get(handler)
            if known is not None:
                return known
            number = self._words[HANDLERS_USED] + len(_RESERVED)
            if number >= HANDLER_LIMIT:
                return OTHERS_NUMBER
            texts = [text.encode("utf-8", "replace") for text in handler]
            HANDLER_TEXTS.pack_into(self._octets, (self._handlers_at + number * HANDLER_WORDS) * 8, *texts)
            self._words[HANDLERS_USED] += 1
            self._numbers[handler] = number
            return number

    def take_cell(self, row: int, handler: int) -> memoryview:
        """Return the words of a fresh cell for *handler* on a row; of the row's own, for others, if all are taken."""
        with self._lock:
            used = self._words[CELLS_USED]
            if used >= CELL_LIMIT:
                at = self._cells_at + row * CELL_WORDS
                self._words[at + CELL_HANDLER] = OTHERS_NUMBER + 1
                return self._words[at : at + CELL_WORDS]
            at = self._cells_at + (self._rows + used) * CELL_WORDS
            self._octets[at * 8 : at * 8 + _CELL_BYTES] = bytes(_CELL_BYTES)
            self._words[at + CELL_HANDLER] = handler + 1
            self._words[CELLS_USED] = used + 1
            return self._words[at : at + CELL_WORDS]

    def add(self, handler: Handler, sums: int, exemplar: Seen) -> None:
        """Add what somebody else has counted; for a record with one writer and one row."""
        number = self.number(handler)
        at = next((at for at, whose in self._cells() if whose == number + 1), None)
        if at is None:
            self.take_cell(0, number)
            at = self._cells_at + (self._rows + self._words[CELLS_USED] - 1) * CELL_WORDS
        start = (at + CELL_DURATION) * 8
        total = _sums(self._octets, at) + sums
        self._octets[start : start + SUMS_BYTES] = total.to_bytes(SUMS_BYTES, sys.byteorder)
        if exemplar > self._exemplar(at):
            self._octets[(at + EXEMPLAR) * 8 : (at + EXEMPLAR) * 8 + EXEMPLAR_FORM.size] = exemplar[1]

    def clear(self) -> None:
        """Forget everything; what is in use again is emptied then."""
        self._numbers = {}
        start = self._cells_at * 8
        self._octets[start : start + self._rows * _CELL_BYTES] = bytes(self._rows * _CELL_BYTES)

    # What readers do

    def handlers(self) -> list[Handler]:
        """Return the handlers by number."""
        used = min(self._words[HANDLERS_USED], HANDLER_LIMIT - len(_RESERVED))
        found = list(_RESERVED)
        for number in range(len(_RESERVED), len(_RESERVED) + used):
            at = (self._handlers_at + number * HANDLER_WORDS) * 8
            found.append(_read_handler(bytes(self._octets[at : at + HANDLER_TEXTS.size])))
        return found

    def handler(self, number: int) -> Handler:
        """Return one of them; nobody for a number that is not given out."""
        known = self.handlers()
        return known[number] if number < len(known) else NOBODY

    def harvest(self, into: Harvest) -> None:
        """Add all cells to a harvest."""
        known = self.handlers()
        octets = self._octets
        for at, whose in self._cells():
            handler = known[whose - 1] if whose <= len(known) else OTHERS
            into.sums[handler] = into.sums.get(handler, 0) + _sums(octets, at)
            if self._words[at + EXEMPLAR] > into.exemplars.get(handler, NEVER)[0]:
                into.exemplars[handler] = self._exemplar(at)

    def total(self) -> int:
        """Return the lanes of all cells together."""
        return sum(_sums(self._octets, at) for at, _ in self._cells())

    def _cells(self) -> list[tuple[int, int]]:
        """Return where the cells that are in use begin, and whose each is (number and 1)."""
        words = self._words
        last = self._rows + min(words[CELLS_USED], CELL_LIMIT)
        starts = range(self._cells_at, self._cells_at + last * CELL_WORDS, CELL_WORDS)
        return [(at, whose) for at in starts if (whose := words[at])]

    def _exemplar(self, at: int) -> Seen:
        """Return the exemplar of a cell; none while it is written."""
        start = (at + EXEMPLAR) * 8
        moment = self._words[at + EXEMPLAR]
        if not moment:
            return NEVER
        octets = bytes(self._octets[start : start + EXEMPLAR_FORM.size])
        return (moment, octets) if octets[:8] == octets[-8:] else NEVER


class Harvest:
    """What was counted, by handler: long integers of lanes, until somebody wants to know the numbers."""

    def __init__(self) -> None:
        self.sums: dict[Handler, int] = {}
        self.exemplars: dict[Handler, Seen] = {}

    def counters(self, done: Progress) -> Counters:
        """Return the numbers of all handlers together; *done* is what rows say."""
        duration, octets, *answers = lanes_of(sum(self.sums.values()))
        finished = sum(answers)
        return Counters(done.begun, finished, duration / 1e9, tuple(answers), done.waited_s, done.waits, octets)

    def handled(self) -> tuple[Handled, ...]:
        """Return the numbers."""
        found = []
        for handler, sums in self.sums.items():
            duration, octets, *answers = lanes_of(sums)
            exemplar = _read_exemplar(self.exemplars.get(handler, NEVER))
            found.append(Handled(handler, duration / 1e9, octets, tuple(answers), exemplar))
        return tuple(found)


def lanes_of(sums: int) -> list[int]:
    """Return duration in nanoseconds, octets, and the answers."""
    with memoryview(sums.to_bytes(SUMS_BYTES, sys.byteorder)) as octets, octets.cast("Q") as words:
        return words.tolist()


def _sums(octets: memoryview, at: int) -> int:
    start = (at + CELL_DURATION) * 8
    return int.from_bytes(octets[start : start + SUMS_BYTES], sys.byteorder)


def _read_exemplar(seen: Seen) -> Exemplar | None:
    moment, octets = seen
    if not moment:
        return None
    at, took, request_id, _ = EXEMPLAR_FORM.unpack(octets)
    return Exemplar(request_id.rstrip(b"\0").decode("latin-1"), took / 1e9, at / 1e9)


@lru_cache(maxsize=8192)
def _read_handler(octets: bytes) -> Handler:
    return Handler(*[text.rstrip(b"\0").decode("utf-8", "ignore") for text in HANDLER_TEXTS.unpack(octets)])
