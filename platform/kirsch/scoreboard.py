"""The scoreboard: one file a pool, mapped by its workers and the supervisor; who is doing what, also after SIGKILL.

Laws:

- One writer a record. Records 1.. belong to workers (their *rows* to single threads), record 0 to the supervisor, who
  adds the counters of ended workers to it, so that a pool's counters never go back.
- No lock. Counters are aligned 64-bit words, written whole; the words that belong together (state, pid, …) stand under
  a sequence counter, odd while they change.
- Everything in flight is Σ begun - Σ finished over the rows, so a stream may end on another thread than it began on.

Layout, in 64-bit words of the machine's order::

    file    MAGIC, records, rows, 5 spare | record 0 | record 1 | …
    record  64 words: sequence … (see ``_SEQUENCE`` and below) | row 0 | row 1 | …
    row     104 words: finished, duration, entered, begun, request line, answers by status class and duration
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
from bisect import bisect_left
from dataclasses import dataclass, field
from time import monotonic_ns, time_ns

_MAGIC = int.from_bytes(b"KIRSCH01", "little")
_FILE_WORDS = 8
_RECORD_WORDS = 64
_ROW_WORDS = 104

# words of a record
_SEQUENCE, _STATE, _PID, _GENERATION, _SEAT, _STARTED, _SINCE, _HEARTBEAT, _RSS, _RELEASE_LENGTH = range(10)
_RELEASE, _RELEASE_BYTES = 16, 128
# words of a row
_FINISHED, _DURATION, _ENTERED, _BEGUN, _LINE_LENGTH, _LINE, _ANSWERS = 0, 1, 2, 3, 4, 5, 25
_LINE_BYTES = 160
# PERF: words that change together are written by one call; a store costs 50 ns, an increment 140
_write_begin = struct.Struct(f"=QQQ{_LINE_BYTES}s").pack_into  # entered, begun, length, line
_write_finish = struct.Struct("=QQQ").pack_into  # finished, duration, entered

#: Names of states by their number in the file.
STATES = ("empty", "booting", "ready", "draining", "stopped", "failed")

#: Upper bounds of the histogram's buckets, in seconds; a last bucket has no bound.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BOUNDS_NS = tuple(int(bound * 1e9) for bound in BOUNDS_S)
_FIRST_BOUND_NS = _BOUNDS_NS[0]
_BUCKET_COUNT = len(BOUNDS_S) + 1
_CELL_COUNT = 5 * _BUCKET_COUNT
# where the cells of a class of status begin; 0 is not a class
_CELL_OF_CLASS = tuple(_ANSWERS + max(0, number - 1) * _BUCKET_COUNT for number in range(6))

#: Rows beyond a worker's threads: for the engine's own and the application's.
SPARE_ROWS = 6


@dataclass(frozen=True, slots=True)
class Running:
    """One request that a worker is inside of."""

    line: str
    """Method and path, cut to 160 octets: ``POST /cart``."""
    for_s: float
    """Since when, in seconds before the reading."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Sums over the rows of a record, or of a whole pool."""

    begun: int = 0
    finished: int = 0
    duration_s: float = 0.0
    answers: tuple[int, ...] = (0,) * _CELL_COUNT
    """Answers by class of status (1xx to 5xx), each class by duration (bounds are ``BOUNDS_S``, not cumulated)."""

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.begun + other.begun,
            self.finished + other.finished,
            self.duration_s + other.duration_s,
            tuple(map(int.__add__, self.answers, other.answers)),
        )

    def by_class(self) -> tuple[int, ...]:
        """Answers by class of status: 1xx, 2xx, 3xx, 4xx, 5xx."""
        return tuple(sum(self.answers[at : at + _BUCKET_COUNT]) for at in range(0, _CELL_COUNT, _BUCKET_COUNT))

    def by_duration(self) -> tuple[int, ...]:
        """Answers by duration, not cumulated; the last is beyond all ``BOUNDS_S``."""
        return tuple(sum(self.answers[at::_BUCKET_COUNT]) for at in range(_BUCKET_COUNT))

    @property
    def in_flight(self) -> int:
        """Requests that began and did not end."""
        return max(0, self.begun - self.finished)


@dataclass(frozen=True, slots=True)
class Record:
    """What one worker is doing, read at one moment. Times are Unix time."""

    state: str = "empty"
    pid: int = 0
    generation: int = 0
    seat: int = 0
    release: str = ""
    started: float = 0.0
    since: float = 0.0
    heartbeat_age_s: float = 0.0
    """How long ago the worker last said that it lives."""
    rss_bytes: int = 0
    counters: Counters = field(default_factory=Counters)
    running: tuple[Running, ...] = ()


class Row:
    """The part of a record that one thread writes."""

    __slots__ = ("_begun", "_duration", "_finished", "_octets", "_words")

    def __init__(self, words: memoryview, octets: memoryview) -> None:
        self._words = words
        self._octets = octets
        self._begun = words[_BEGUN]
        self._finished = words[_FINISHED]
        self._duration = words[_DURATION]

    def begin(self, line: bytes) -> int:
        """Say that the request *line* (``b"GET /"``) begins; return the moment, for ``finish``."""
        now = monotonic_ns()
        self._begun = begun = self._begun + 1
        _write_begin(self._octets, _ENTERED * 8, now, begun, len(line), line)
        return now

    def leave(self) -> None:
        """Say that this thread left the handler; the answer still streams, and some thread's row will ``finish`` it."""
        self._words[_ENTERED] = 0

    def finish(self, began: int, status_class: int) -> None:
        """Say that the request that began at *began* was answered; *status_class* is 1 to 5."""
        took = monotonic_ns() - began
        # PERF: most answers take less than the first bound: 0.06 us for the search saved
        bucket = 0 if took <= _FIRST_BOUND_NS else bisect_left(_BOUNDS_NS, took)
        self._words[_CELL_OF_CLASS[status_class] + bucket] += 1
        self._finished = finished = self._finished + 1
        self._duration = duration = self._duration + took
        _write_finish(self._octets, 0, finished, duration, 0)


class _SharedRow(Row):
    """The last row, for all threads that came when the others were taken: under a lock, so that no count is lost."""

    __slots__ = ("_lock",)

    def __init__(self, words: memoryview, octets: memoryview) -> None:
        super().__init__(words, octets)
        self._lock = threading.Lock()

    def begin(self, line: bytes) -> int:
        with self._lock:
            return super().begin(line)

    def finish(self, began: int, status_class: int) -> None:
        with self._lock:
            super().finish(began, status_class)


class Mine(threading.local):
    """``row`` of the thread that looks.

    PERF: __init__ runs once in each thread that looks here, so that asking takes 0.04 us, half of a method with a try.
    """

    def __init__(self, writer: Writer) -> None:
        self.row = writer._take_row()


class Writer:
    """A worker's pen: the only one that writes its record."""

    def __init__(self, board: Scoreboard, record: int) -> None:
        self._board = board
        self._head, _ = board._span(board._record_at(record), _RECORD_WORDS)
        self._record = record
        self._taken = 0
        self._taking = threading.Lock()
        self._overflow: _SharedRow | None = None
        self.mine = Mine(self)
        """Has ``row``, the row of the thread that asks: what a caller keeps that asks once a request."""

    def introduce(self, *, seat: int, generation: int, release: str, pid: int | None = None) -> None:
        """Take the record: who writes here from now on. Counters start at 0."""
        self._board.clear(self._record)
        name = release.encode("utf-8")[:_RELEASE_BYTES]
        self._head[_SEQUENCE] += 1
        _, octets = self._board._span(self._board._record_at(self._record), _RECORD_WORDS)
        octets[_RELEASE * 8 : _RELEASE * 8 + len(name)] = name
        self._head[_RELEASE_LENGTH] = len(name)
        self._head[_PID] = os.getpid() if pid is None else pid
        self._head[_SEAT] = seat
        self._head[_GENERATION] = generation
        self._head[_STARTED] = self._head[_SINCE] = time_ns()
        # monotonic, as all processes of a machine share it: a jump of the wall clock must not look like a death
        self._head[_HEARTBEAT] = monotonic_ns()
        self._head[_STATE] = STATES.index("booting")
        self._head[_SEQUENCE] += 1

    def enter_state(self, state: str) -> None:
        """Say what the worker does now: one of ``STATES``."""
        self._head[_SEQUENCE] += 1
        self._head[_STATE] = STATES.index(state)
        self._head[_SINCE] = time_ns()
        self._head[_SEQUENCE] += 1

    def beat(self, rss_bytes: int) -> None:
        """Say that the worker lives, and how much memory it holds."""
        self._head[_RSS] = rss_bytes
        self._head[_HEARTBEAT] = monotonic_ns()

    def row(self) -> Row:
        """Return the row of the calling thread."""
        return self.mine.row

    def _take_row(self) -> Row:
        with self._taking:
            index = self._taken
            last = self._board.rows - 1
            if index < last:
                self._taken += 1
                return Row(*self._board._row_span(self._record, index))
            if self._overflow is None:
                self._overflow = _SharedRow(*self._board._row_span(self._record, last))
            return self._overflow


class Scoreboard:
    """The mapped file. Build it with ``create`` or ``open``."""

    def __init__(self, path: str, mapped: mmap.mmap) -> None:
        self.path = path
        self._mmap = mapped
        self._octets = memoryview(mapped)
        self._words = self._octets.cast("Q")
        self.records = self._words[1]
        self.rows = self._words[2]
        self._stride = _RECORD_WORDS + self.rows * _ROW_WORDS

    @classmethod
    def create(cls, path: str, records: int, rows: int, mode: int = 0o600) -> Scoreboard:
        """Make a board for *records* workers (numbers from 1) with *rows* threads each, in place of an older file.

        Those who have the older file mapped keep it.
        """
        words = _FILE_WORDS + (records + 1) * (_RECORD_WORDS + rows * _ROW_WORDS)
        beside = f"{path}.{os.getpid()}.new"
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)
            os.ftruncate(descriptor, words * 8)
            mapped = mmap.mmap(descriptor, words * 8)
        finally:
            os.close(descriptor)
        with memoryview(mapped) as octets, octets.cast("Q") as view:
            view[0], view[1], view[2] = _MAGIC, records, rows
        os.replace(beside, path)
        return cls(path, mapped)

    @classmethod
    def open(cls, path: str) -> Scoreboard:
        """Map an existing board.

        Raises:
            OSError: there is no such file.
            ValueError: it is no scoreboard of this version.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size < _FILE_WORDS * 8:
                raise ValueError(f"{path} is no scoreboard: {size} octets")
            mapped = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        with memoryview(mapped) as octets, octets.cast("Q") as view:
            magic, records, rows = view[0], view[1], view[2]
        words = _FILE_WORDS + (records + 1) * (_RECORD_WORDS + rows * _ROW_WORDS)
        if magic != _MAGIC or size != words * 8:
            mapped.close()
            raise ValueError(f"{path} is no scoreboard of this version")
        return cls(path, mapped)

    def writer(self, record: int) -> Writer:
        """Return the pen for a record, from 1."""
        if not 1 <= record <= self.records:
            raise ValueError(f"record {record} of {self.path}; allowed: 1 to {self.records}")
        return Writer(self, record)

    def read(self, record: int) -> Record:
        """Read one worker's record; what changes meanwhile is read again."""
        at = self._record_at(record)
        for _ in range(64):
            before = self._words[at]
            head = self._words[at : at + _RECORD_WORDS].tolist()
            if before % 2 == 0 and self._words[at] == before:
                break
        length = min(head[_RELEASE_LENGTH], _RELEASE_BYTES)
        release_at = (at + _RELEASE) * 8
        return Record(
            state=STATES[head[_STATE]] if head[_STATE] < len(STATES) else "empty",
            pid=head[_PID],
            generation=head[_GENERATION],
            seat=head[_SEAT],
            release=bytes(self._octets[release_at : release_at + length]).decode("utf-8", "replace"),
            started=head[_STARTED] / 1e9,
            since=head[_SINCE] / 1e9,
            heartbeat_age_s=max(0.0, (monotonic_ns() - head[_HEARTBEAT]) / 1e9),
            rss_bytes=head[_RSS],
            counters=self._counters(record),
            running=self._running(record),
        )

    def counters(self, record: int) -> Counters:
        """Sum over the rows of a record."""
        return self._counters(record)

    def totals(self) -> Counters:
        """Sum over everybody who ever wrote here."""
        total = Counters()
        for record in range(self.records + 1):
            total += self._counters(record)
        return total

    def absorb(self, ended: Counters) -> None:
        """Add the counters of an ended worker to record 0; only the supervisor does it.

        What was in flight is lost: it stays out of the totals.
        """
        row, _ = self._row_span(0, 0)
        row[_BEGUN] += ended.finished
        row[_FINISHED] += ended.finished
        row[_DURATION] += int(ended.duration_s * 1e9)
        for index, count in enumerate(ended.answers):
            row[_ANSWERS + index] += count

    def clear(self, record: int) -> None:
        """Empty a record."""
        at = self._record_at(record)
        self._octets[at * 8 : (at + self._stride) * 8] = bytes(self._stride * 8)

    def _counters(self, record: int) -> Counters:
        sums = [0] * (_ANSWERS + _CELL_COUNT)
        for index in range(self.rows):
            row, _ = self._row_span(record, index)
            if row[_BEGUN] or row[_FINISHED]:
                sums = list(map(int.__add__, sums, row.tolist()))
        return Counters(sums[_BEGUN], sums[_FINISHED], sums[_DURATION] / 1e9, tuple(sums[_ANSWERS:]))

    def _running(self, record: int) -> tuple[Running, ...]:
        now = monotonic_ns()
        found = []
        for index in range(self.rows):
            row, octets = self._row_span(record, index)
            entered = row[_ENTERED]
            if entered:
                line = bytes(octets[_LINE * 8 : _LINE * 8 + min(row[_LINE_LENGTH], _LINE_BYTES)])
                found.append(Running(line.decode("latin-1"), max(0.0, (now - entered) / 1e9)))
        return tuple(found)

    def _record_at(self, record: int) -> int:
        return _FILE_WORDS + record * self._stride

    def _row_span(self, record: int, row: int) -> tuple[memoryview, memoryview]:
        return self._span(self._record_at(record) + _RECORD_WORDS + row * _ROW_WORDS, _ROW_WORDS)

    def _span(self, at: int, words: int) -> tuple[memoryview, memoryview]:
        return self._words[at : at + words], self._octets[at * 8 : (at + words) * 8]
