"""The mapped file, as its readers and its supervisor have it."""

from __future__ import annotations

import mmap
import os
from time import monotonic_ns

import msgspec

from kirsch.scoreboard.directory import Directory, Harvest, lanes_of
from kirsch.scoreboard.layout import (
    ASKED_UNTIL,
    BEGUN,
    CELLS_USED,
    CHECKS,
    CHECKS_BYTES,
    CHECKS_LENGTH,
    COLLECTIONS,
    ENTERED,
    FILE_WORDS,
    FINISHED,
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
from kirsch.scoreboard.values import CheckState, Counters, Handler, Progress, Record, Running
from kirsch.scoreboard.writer import Writer

#: How often a reader looks again at what changes under its eyes.
_PATIENCE = 64


class Scoreboard:
    """The mapped file. Build it with ``create`` or ``open``."""

    def __init__(self, path: str, mapped: mmap.mmap, shape: tuple[int, int], first: int = 0) -> None:
        self.path = path
        self._mmap = mapped
        self._octets = memoryview(mapped)
        self._words = self._octets.cast("Q")
        self.records, self.rows = shape
        self._stride = Directory.record_words(self.rows)
        self._first = first
        """The word of the file at which the mapping begins."""

    @classmethod
    def create(cls, path: str, records: int, rows: int, mode: int = 0o600) -> Scoreboard:
        """Make a board for *records* workers (numbers from 1) with *rows* threads each, in place of an older file.

        Those who have the older file mapped keep it.
        """
        words = FILE_WORDS + (records + 1) * Directory.record_words(rows)
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
        return cls(path, mapped, (records, rows))

    @classmethod
    def open(cls, path: str, record: int | None = None) -> Scoreboard:
        """Map an existing board; of a single *record* nothing else: a worker needs no more, and may have no more.

        Raises:
            OSError: there is no such file.
            ValueError: it is no scoreboard of this version, or has no such record.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            with memoryview(os.pread(descriptor, 24, 0).ljust(24, b"\0")) as octets, octets.cast("Q") as view:
                magic, records, rows = view
            if magic != MAGIC or size != (FILE_WORDS + (records + 1) * Directory.record_words(rows)) * 8:
                raise ValueError(f"{path} is no scoreboard of this version")
            if record is None:
                return cls(path, mmap.mmap(descriptor, size), (records, rows))
            _check_record(path, record, records)
            stride = Directory.record_words(rows)
            first = FILE_WORDS + record * stride
            return cls(path, mmap.mmap(descriptor, stride * 8, offset=first * 8), (records, rows), first)
        finally:
            os.close(descriptor)

    def writer(self, record: int) -> Writer:
        """Return the pen for a record, from 1."""
        _check_record(self.path, record, self.records)
        return Writer(*self._span(self._record_at(record), self._stride), self.rows)

    def read(self, record: int) -> Record:
        """Read one worker's record, with its sums; what changes meanwhile is read again."""
        return self._read(record, self.counters(record))

    def glance(self, record: int) -> Record:
        """Read one worker's record without its sums."""
        return self._read(record, Counters())

    def _read(self, record: int, counters: Counters) -> Record:
        at = self._record_at(record)
        for _ in range(_PATIENCE):
            before = self._words[at]
            octets = bytes(self._octets[at * 8 : (at + RECORD_WORDS) * 8])
            if before % 2 == 0 and self._words[at] == before:
                break
        with memoryview(octets) as view, view.cast("Q") as head:
            return Record(
                state=STATES[head[STATE]] if head[STATE] < len(STATES) else "empty",
                pid=head[PID],
                generation=head[GENERATION],
                seat=head[SEAT],
                release=_text_at(octets, RELEASE, min(head[RELEASE_LENGTH], RELEASE_BYTES)),
                started=head[STARTED] / 1e9,
                since=head[SINCE] / 1e9,
                heartbeat_age_s=max(0.0, (monotonic_ns() - head[HEARTBEAT]) / 1e9),
                rss_bytes=head[RSS],
                note=_text_at(octets, NOTE, min(head[NOTE_LENGTH], NOTE_BYTES)),
                asks_for_s=max(0.0, (head[ASKED_UNTIL] - monotonic_ns()) / 1e9),
                collections=tuple(head[COLLECTIONS : COLLECTIONS + 3]),
                checks=_checks(octets[CHECKS * 8 : CHECKS * 8 + min(head[CHECKS_LENGTH], CHECKS_BYTES)]),
                counters=counters,
                running=self._running(record),
            )

    def progress(self, record: int) -> Progress:
        """Return how far a worker is."""
        sums = [0, 0, 0, 0]
        for index in range(self.rows):
            row, _ = self._row_span(record, index)
            sums[0] += row[BEGUN]
            sums[1] += row[FINISHED]
            sums[2] += row[WAITED]
            sums[3] += row[WAITS]
        return Progress(sums[0], sums[1], sums[2] / 1e9, sums[3])

    def counters(self, record: int) -> Counters:
        """Sum over the rows and cells of a record."""
        done = self.progress(record)
        duration, octets, *answers = lanes_of(self._directory(record).total())
        finished = sum(answers)
        return Counters(done.begun, finished, duration / 1e9, tuple(answers), done.waited_s, done.waits, octets)

    def harvest(self, record: int, into: Harvest | None = None) -> Harvest:
        """Return what a record has counted by handler, added to what is in *into*."""
        found = Harvest() if into is None else into
        self._directory(record).harvest(found)
        return found

    def totals(self) -> Counters:
        """Sum over everybody who ever wrote here."""
        done, harvest = self.survey()
        return harvest.counters(done)

    def survey(self) -> tuple[Progress, Harvest]:
        """Return how far everybody is who ever wrote here, and what they have counted by handler."""
        done, found = Progress(), Harvest()
        for record in range(self.records + 1):
            if self._is_used(record):
                done += self.progress(record)
                self.harvest(record, found)
        return done, found

    def absorb(self, board: Scoreboard, record: int) -> None:
        """Add what an ended worker has counted, in *record* of *board*, to record 0; only the supervisor does it.

        What was in flight is lost: it stays out of the totals.
        """
        ended = board.progress(record)
        harvest = board.harvest(record)
        own = self._directory(0)
        for handler, sums in harvest.sums.items():
            own.add(handler, sums, harvest.exemplars.get(handler, (0, b"")))
        row, _ = self._row_span(0, 0)
        finished = sum(lanes_of(sum(harvest.sums.values()))[2:])
        row[BEGUN] += finished
        row[FINISHED] += finished
        row[WAITED] += int(ended.waited_s * 1e9)
        row[WAITS] += ended.waits

    def clear(self, record: int) -> None:
        """Empty a record."""
        self._directory(record).clear()
        at = self._record_at(record)
        used = RECORD_WORDS + self.rows * ROW_WORDS
        self._octets[at * 8 : (at + used) * 8] = bytes(used * 8)

    def _is_used(self, record: int) -> bool:
        # a look at a page of a file in memory makes it: untouched records stay untouched but for their first one
        at = self._record_at(record)
        return bool(
            self._words[at + SEQUENCE] or self._words[at + CELLS_USED] or self._words[at + RECORD_WORDS + BEGUN]
        )

    def _running(self, record: int) -> tuple[Running, ...]:
        spans = [self._row_span(record, index) for index in range(self.rows)]
        busy = [span for span in spans if span[0][ENTERED]]
        if not busy:
            return ()
        handlers = self._directory(record).handlers()
        found = [self._running_in(span, handlers) for span in busy]
        return tuple(one for one in found if one is not None)

    @staticmethod
    def _running_in(span: tuple[memoryview, memoryview], handlers: list[Handler]) -> Running | None:
        """Return what a row's thread is inside of; what changes meanwhile is read again."""
        words, octets = span
        for _ in range(_PATIENCE):
            if not words[ENTERED]:
                return None
            entered, phase, begun, line, request_id, handler, again, thread, late_of, late = read_begin(
                octets, ENTERED * 8
            )
            if begun == again and words[BEGUN] == begun and words[ENTERED] == entered:
                break
        else:
            # killed between two words: it is inside of something, but of what was not yet written
            line = request_id = b""
        known = handlers[handler].code if handler < len(handlers) else ""
        if not known and late_of == begun and late < len(handlers):
            known = handlers[late].code
        return Running(
            line=_text(line),
            for_s=max(0.0, (monotonic_ns() - entered) / 1e9),
            handler=known,
            request_id=_text(request_id),
            phase="sending" if phase == IS_SENDING else "handler",
            thread=thread,
        )

    def _directory(self, record: int) -> Directory:
        return Directory(*self._span(self._record_at(record), self._stride), self.rows)

    def _record_at(self, record: int) -> int:
        at = FILE_WORDS + record * self._stride - self._first
        if not 0 <= at < len(self._words):
            raise ValueError(f"record {record} of {self.path} is not mapped")
        return at

    def _row_span(self, record: int, row: int) -> tuple[memoryview, memoryview]:
        return self._span(self._record_at(record) + RECORD_WORDS + row * ROW_WORDS, ROW_WORDS)

    def _span(self, at: int, words: int) -> tuple[memoryview, memoryview]:
        return self._words[at : at + words], self._octets[at * 8 : (at + words) * 8]


def _check_record(path: str, record: int, records: int) -> None:
    if not 1 <= record <= records:
        raise ValueError(f"record {record} of {path}; allowed: 1 to {records}")


def _checks(octets: bytes) -> tuple[CheckState, ...]:
    if not octets:
        return ()
    try:
        return msgspec.json.decode(octets, type=tuple[CheckState, ...])
    except msgspec.MsgspecError:
        return ()  # read while it was written


def _text(octets: bytes) -> str:
    return octets.rstrip(b"\0").decode("latin-1")


def _text_at(octets: bytes, word: int, length: int) -> str:
    return octets[word * 8 : word * 8 + length].decode("utf-8", "ignore")
