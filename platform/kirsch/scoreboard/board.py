"""The mapped file, and the pen that a worker writes its record with."""

from __future__ import annotations

import mmap
import os
import threading
from time import monotonic_ns, time_ns

from kirsch.scoreboard.layout import (
    ANSWERS,
    ASKED_UNTIL,
    BEGUN,
    CELL_COUNT,
    DURATION,
    ENTERED,
    FILE_WORDS,
    GENERATION,
    HEARTBEAT,
    IS_SENDING,
    MAGIC,
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
    WAITED,
    WAITS,
    read_begin,
)
from kirsch.scoreboard.row import Row, SharedRow
from kirsch.scoreboard.values import Counters, Record, Running

#: How often a reader looks again at what changes under its eyes.
_PATIENCE = 64


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
        self._head, _ = board._span(board._record_at(record), RECORD_WORDS)
        self._record = record
        self._taken = 0
        self._taking = threading.Lock()
        self._overflow: SharedRow | None = None
        self.rows: list[Row] = []
        """Rows of single threads, of this process."""
        self.mine = Mine(self)
        """Has ``row``, the row of the thread that asks: what a caller keeps that asks once a request."""

    def introduce(self, *, seat: int, generation: int, release: str, pid: int | None = None) -> None:
        """Take the record: who writes here from now on. Counters start at 0."""
        self._board.clear(self._record)
        for row in self.rows:
            row.introduce()
        name = release.encode("utf-8")[:RELEASE_BYTES]
        self._head[SEQUENCE] += 1
        _, octets = self._board._span(self._board._record_at(self._record), RECORD_WORDS)
        octets[RELEASE * 8 : RELEASE * 8 + len(name)] = name
        self._head[RELEASE_LENGTH] = len(name)
        self._head[PID] = os.getpid() if pid is None else pid
        self._head[SEAT] = seat
        self._head[GENERATION] = generation
        self._head[STARTED] = self._head[SINCE] = time_ns()
        # monotonic, as all processes of a machine share it: a jump of the wall clock must not look like a death
        self._head[HEARTBEAT] = monotonic_ns()
        self._head[STATE] = STATES.index("booting")
        self._head[SEQUENCE] += 1

    def enter_state(self, state: str) -> None:
        """Say what the worker does now: one of ``STATES``."""
        self._head[SEQUENCE] += 1
        self._head[STATE] = STATES.index(state)
        self._head[SINCE] = time_ns()
        self._head[SEQUENCE] += 1

    def note(self, text: str) -> None:
        """Say what the operator should know though the worker serves; cut to 256 octets."""
        octets = text.encode("utf-8", "replace")[:NOTE_BYTES]
        self._head[SEQUENCE] += 1
        at = (self._board._record_at(self._record) + NOTE) * 8
        self._board._octets[at : at + len(octets)] = octets
        self._head[NOTE_LENGTH] = len(octets)
        self._head[SEQUENCE] += 1

    def ask_until(self, moment_ns: int) -> None:
        """Say until when (monotonic) requests inside have asked to be waited for; 0 for none that did."""
        self._head[ASKED_UNTIL] = moment_ns

    def in_flight(self) -> int:
        """Return how many requests the worker is inside of."""
        return self._board.counters(self._record).in_flight

    def beat(self, rss_bytes: int) -> None:
        """Say that the worker lives, and how much memory it holds."""
        self._head[RSS] = rss_bytes
        self._head[HEARTBEAT] = monotonic_ns()

    def row(self) -> Row:
        """Return the row of the calling thread."""
        return self.mine.row

    def _take_row(self) -> Row:
        with self._taking:
            index = self._taken
            last = self._board.rows - 1
            if index < last:
                self._taken += 1
                row = Row(*self._board._row_span(self._record, index))
                self.rows.append(row)
                return row
            if self._overflow is None:
                self._overflow = SharedRow(*self._board._row_span(self._record, last))
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
        self._stride = RECORD_WORDS + self.rows * ROW_WORDS

    @classmethod
    def create(cls, path: str, records: int, rows: int, mode: int = 0o600) -> Scoreboard:
        """Make a board for *records* workers (numbers from 1) with *rows* threads each, in place of an older file.

        Those who have the older file mapped keep it.
        """
        words = FILE_WORDS + (records + 1) * (RECORD_WORDS + rows * ROW_WORDS)
        beside = f"{path}.{os.getpid()}.new"
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)
            os.ftruncate(descriptor, words * 8)
            mapped = mmap.mmap(descriptor, words * 8)
        finally:
            os.close(descriptor)
        with memoryview(mapped) as octets, octets.cast("Q") as view:
            view[0], view[1], view[2] = MAGIC, records, rows
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
            if size < FILE_WORDS * 8:
                raise ValueError(f"{path} is no scoreboard: {size} octets")
            mapped = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        with memoryview(mapped) as octets, octets.cast("Q") as view:
            magic, records, rows = view[0], view[1], view[2]
        words = FILE_WORDS + (records + 1) * (RECORD_WORDS + rows * ROW_WORDS)
        if magic != MAGIC or size != words * 8:
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
        for _ in range(_PATIENCE):
            before = self._words[at]
            head = self._words[at : at + RECORD_WORDS].tolist()
            if before % 2 == 0 and self._words[at] == before:
                break
        return Record(
            state=STATES[head[STATE]] if head[STATE] < len(STATES) else "empty",
            pid=head[PID],
            generation=head[GENERATION],
            seat=head[SEAT],
            release=self._text_at(at + RELEASE, min(head[RELEASE_LENGTH], RELEASE_BYTES)),
            started=head[STARTED] / 1e9,
            since=head[SINCE] / 1e9,
            heartbeat_age_s=max(0.0, (monotonic_ns() - head[HEARTBEAT]) / 1e9),
            rss_bytes=head[RSS],
            note=self._text_at(at + NOTE, min(head[NOTE_LENGTH], NOTE_BYTES)),
            asks_for_s=max(0.0, (head[ASKED_UNTIL] - monotonic_ns()) / 1e9),
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
        row[BEGUN] += ended.finished
        row[DURATION] += int(ended.duration_s * 1e9)
        for index, count in enumerate(ended.answers):
            row[ANSWERS + index] += count
        row[WAITED] += int(ended.waited_s * 1e9)
        row[WAITS] += ended.waits

    def clear(self, record: int) -> None:
        """Empty a record."""
        at = self._record_at(record)
        self._octets[at * 8 : (at + self._stride) * 8] = bytes(self._stride * 8)

    def _counters(self, record: int) -> Counters:
        sums = [0] * ROW_WORDS
        for index in range(self.rows):
            row, _ = self._row_span(record, index)
            if row[BEGUN] or row[DURATION]:  # a stream may end where nothing has begun
                sums = list(map(int.__add__, sums, row.tolist()))
        answers = tuple(sums[ANSWERS : ANSWERS + CELL_COUNT])
        return Counters(sums[BEGUN], sum(answers), sums[DURATION] / 1e9, answers, sums[WAITED] / 1e9, sums[WAITS])

    def _running(self, record: int) -> tuple[Running, ...]:
        found = [self._running_in(self._row_span(record, index)) for index in range(self.rows)]
        return tuple(one for one in found if one is not None)

    @staticmethod
    def _running_in(span: tuple[memoryview, memoryview]) -> Running | None:
        """Return what a row's thread is inside of; what changes meanwhile is read again."""
        words, octets = span
        for _ in range(_PATIENCE):
            if not words[ENTERED]:
                return None
            entered, phase, begun, line, request_id, again, thread, named, handler = read_begin(octets, ENTERED * 8)
            if begun == again and words[BEGUN] == begun and words[ENTERED] == entered:
                break
        else:
            # killed between two words: it is inside of something, but of what was not yet written
            line = request_id = b""
        return Running(
            line=_text(line),
            for_s=max(0.0, (monotonic_ns() - entered) / 1e9),
            handler=_text(handler) if named == begun else "",
            request_id=_text(request_id),
            phase="sending" if phase == IS_SENDING else "handler",
            thread=thread,
        )

    def _text_at(self, word: int, length: int) -> str:
        return bytes(self._octets[word * 8 : word * 8 + length]).decode("utf-8", "ignore")

    def _record_at(self, record: int) -> int:
        return FILE_WORDS + record * self._stride

    def _row_span(self, record: int, row: int) -> tuple[memoryview, memoryview]:
        return self._span(self._record_at(record) + RECORD_WORDS + row * ROW_WORDS, ROW_WORDS)

    def _span(self, at: int, words: int) -> tuple[memoryview, memoryview]:
        return self._words[at : at + words], self._octets[at * 8 : (at + words) * 8]


def _text(octets: bytes) -> str:
    return octets.rstrip(b"\0").decode("latin-1")
