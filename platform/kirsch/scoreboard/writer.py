"""The pen that a worker writes its record with."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from time import monotonic_ns, time_ns

import msgspec

from kirsch.scoreboard.directory import Directory
from kirsch.scoreboard.layout import (
    ASKED_UNTIL,
    BEGUN,
    CHECKS,
    CHECKS_BYTES,
    CHECKS_LENGTH,
    COLLECTIONS,
    FINISHED,
    GENERATION,
    HEARTBEAT,
    NOTE,
    NOTE_BYTES,
    NOTE_LENGTH,
    PID,
    RECORD_WORDS,
    RELEASE,
    RELEASE_BYTES,
    RELEASE_LENGTH,
    ROW_WORDS,
    RSS,
    SEAT,
    SEQUENCE,
    SINCE,
    STARTED,
    STATE,
    STATES,
)
from kirsch.scoreboard.row import Row, SharedRow
from kirsch.scoreboard.values import CheckState, Handler


class Mine(threading.local):
    """``row`` of the thread that looks.

    PERF: __init__ runs once in each thread that looks here, so that asking takes 0.04 us, half of a method with a try.
    """

    def __init__(self, writer: Writer) -> None:
        self.row = writer._take_row()


class Writer:
    """A worker's pen: the only one that writes its record.

    Args:
        words: of the record.
        octets: the same, as octets.
        rows: how many threads have one of their own, but for the last, which all others share.
    """

    def __init__(self, words: memoryview, octets: memoryview, rows: int) -> None:
        self._words = words
        self._octets = octets
        self._row_count = rows
        self._directory = Directory(words, octets, rows)
        self._taken = 0
        self._taking = threading.Lock()
        self._saying = threading.Lock()
        self._overflow: SharedRow | None = None
        self.rows: list[Row] = []
        """Rows of single threads, of this process."""
        self.mine = Mine(self)
        """Has ``row``, the row of the thread that asks: what a caller keeps that asks once a request."""

    def introduce(self, *, seat: int, generation: int, release: str, pid: int | None = None) -> None:
        """Take the record: who writes here from now on. Counters start at 0."""
        words = self._words
        self._directory.clear()
        used = RECORD_WORDS + self._row_count * ROW_WORDS
        self._octets[: used * 8] = bytes(used * 8)
        for row in self.rows:
            row.introduce()
        name = release.encode("utf-8")[:RELEASE_BYTES]
        words[SEQUENCE] += 1
        self._octets[RELEASE * 8 : RELEASE * 8 + len(name)] = name
        words[RELEASE_LENGTH] = len(name)
        words[PID] = os.getpid() if pid is None else pid
        words[SEAT] = seat
        words[GENERATION] = generation
        words[STARTED] = words[SINCE] = time_ns()
        # monotonic, as all processes of a machine share it: a jump of the wall clock must not look like a death
        words[HEARTBEAT] = monotonic_ns()
        words[STATE] = STATES.index("booting")
        words[SEQUENCE] += 1

    def number(self, handler: Handler) -> int:
        """Return the number that *handler* has in this record, for ``Row.handled_by``."""
        return self._directory.number(handler)

    def handler(self, number: int) -> Handler:
        """Return the handler that has a number in this record."""
        return self._directory.handler(number)

    def enter_state(self, state: str) -> None:
        """Say what the worker does now: one of ``STATES``."""
        with self._saying:
            self._words[SEQUENCE] += 1
            self._words[STATE] = STATES.index(state)
            self._words[SINCE] = time_ns()
            self._words[SEQUENCE] += 1

    def note(self, text: str) -> None:
        """Say what the operator should know though the worker serves; cut to 256 octets."""
        self._write_text(NOTE, NOTE_LENGTH, text.encode("utf-8", "replace")[:NOTE_BYTES])

    def show_checks(self, checks: Sequence[CheckState]) -> None:
        """Say how the health checks stand; what does not fit is left out, those that pass first."""
        shown = sorted(checks, key=lambda check: (check.state == "passing", not check.critical))
        while len(octets := msgspec.json.encode(shown)) > CHECKS_BYTES:
            shown.pop()
        self._write_text(CHECKS, CHECKS_LENGTH, octets)

    def ask_until(self, moment_ns: int) -> None:
        """Say until when (monotonic) requests inside have asked to be waited for; 0 for none that did."""
        self._words[ASKED_UNTIL] = moment_ns

    def in_flight(self) -> int:
        """Return how many requests the worker is inside of."""
        words, begun, finished = self._words, 0, 0
        for at in range(RECORD_WORDS, RECORD_WORDS + self._row_count * ROW_WORDS, ROW_WORDS):
            begun += words[at + BEGUN]
            finished += words[at + FINISHED]
        return max(0, begun - finished)

    def beat(self, rss_bytes: int, collections: Sequence[int] = ()) -> None:
        """Say that the worker lives, how much memory it holds, and how often it collected garbage, by generation."""
        self._words[RSS] = rss_bytes
        for generation, count in enumerate(collections[:3]):
            self._words[COLLECTIONS + generation] = count
        self._words[HEARTBEAT] = monotonic_ns()

    def row(self) -> Row:
        """Return the row of the calling thread."""
        return self.mine.row

    def _write_text(self, at: int, length_at: int, octets: bytes) -> None:
        with self._saying:
            self._words[SEQUENCE] += 1
            self._octets[at * 8 : at * 8 + len(octets)] = octets
            self._words[length_at] = len(octets)
            self._words[SEQUENCE] += 1

    def _take_row(self) -> Row:
        with self._taking:
            index = self._taken
            last = self._row_count - 1
            if index < last:
                self._taken += 1
                row = Row(index, *self._span(index), self._directory.take_cell)
                self.rows.append(row)
                return row
            if self._overflow is None:
                self._overflow = SharedRow(last, *self._span(last), self._directory.take_cell)
            return self._overflow

    def _span(self, row: int) -> tuple[memoryview, memoryview]:
        at = RECORD_WORDS + row * ROW_WORDS
        return self._words[at : at + ROW_WORDS], self._octets[at * 8 : (at + ROW_WORDS) * 8]
