"""The last hour of a stack, in memory: a column every five seconds, and marks for what was done to it.

Bounded by construction (720 columns, 100 marks, some 150 KiB). It is kept in a file only from one supervisor to the
next, so that an upgrade does not empty the charts.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kirsch.scoreboard import BOUNDS_S, Counters

COLUMN_S = 5.0
COLUMNS = 720
MARKS = 100
VERSION = 1

MARK_OF_EVENT: Mapping[str, str] = {
    "started": "start",
    "upgrade": "start",
    "rolled": "roll",
    "roll_failed": "failure",
    "died": "failure",
    "stuck": "failure",
    "parked": "failure",
    "scaled": "change",
    "paused": "change",
    "resumed": "change",
}
"""Which events are marked on the charts, and how they look."""


class Column(NamedTuple):
    """Some seconds of a stack: rates a second, latencies in milliseconds, None where nobody was answered."""

    at: float
    """Unix time of the begin."""
    requests: float
    client_errors: float
    """4xx answers a second."""
    server_errors: float
    """5xx answers a second, and requests that got none."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    in_flight: int
    """The most that was seen."""
    held: int


class Mark(NamedTuple):
    """Something that was done, or happened: *kind* is a value of ``MARK_OF_EVENT``."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What is counted until now, in all pools together."""

    counters: Counters
    unanswered: int = 0
    """Requests that were lost or refused."""
    in_flight: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """What readers get: oldest first; *since* is Unix time."""

    since: float = 0.0
    columns: tuple[Column, ...] = ()
    marks: tuple[Mark, ...] = ()

    def last(self, seconds: float) -> tuple[Column, ...]:
        """Return the columns of the last *seconds*, before the newest one."""
        if not self.columns:
            return ()
        return tuple(column for column in self.columns if column.at > self.columns[-1].at - seconds)


class History:
    """Fills the columns. One thread writes and reads."""

    def __init__(self, since: float) -> None:
        self._since = since
        self._columns: deque[Column] = deque(maxlen=COLUMNS)
        self._marks: deque[Mark] = deque(maxlen=MARKS)
        self._base: Sample | None = None
        """What was counted when the newest column began."""
        self._begun = 0.0
        self._start = 0.0

    def record(self, now: float, sample: Sample) -> None:
        """Take a look at what is counted. The newest column is drawn anew with every look, until it is over."""
        start = now - now % COLUMN_S
        if self._base is None or now < self._begun:  # the first look, or a clock that was set back
            self._base, self._begun, self._start = sample, now, start
            return
        took_s = now - self._begun
        if took_s <= 0:
            return
        column = _column(self._start, took_s, self._base, sample)
        if self._columns and self._columns[-1].at == self._start:
            before = self._columns.pop()
            column = column._replace(
                in_flight=max(column.in_flight, before.in_flight), held=max(column.held, before.held)
            )
        while self._columns and self._columns[-1].at > self._start:  # the clock was set back
            self._columns.pop()
        self._columns.append(column)
        if start > self._start:
            self._base, self._begun, self._start = sample, now, start

    def mark(self, event: Mapping[str, Any]) -> None:
        """Mark an event, if it is one of those that are marked."""
        kind = MARK_OF_EVENT.get(event["kind"])
        if kind is not None:
            self._marks.append(Mark(event["at"], kind, describe_event(event)))

    def past(self) -> Past:
        """Return what is known."""
        oldest = self._columns[0].at if self._columns else self._since
        return Past(
            min(self._since, oldest),
            tuple(self._columns),
            tuple(mark for mark in self._marks if mark.at >= oldest - COLUMN_S),
        )

    def to_json(self) -> bytes:
        """Return what the next supervisor takes up."""
        past = self.past()
        kept = {"version": VERSION, "since": past.since, "columns": past.columns, "marks": past.marks}
        return json.dumps(kept, separators=(",", ":")).encode()

    def take_up(self, data: bytes, now: float) -> bool:
        """Go on from what ``to_json`` has kept; say whether it could be. What is older than an hour is left out.

        A file of another version, or one that somebody else has written, is no reason not to start.
        """
        try:
            kept = json.loads(data)
            if kept["version"] != VERSION:
                return False
            columns = [Column(*one) for one in kept["columns"]]
            marks = [Mark(float(at), str(kind), str(text)) for at, kind, text in kept["marks"]]
            oldest = now - COLUMNS * COLUMN_S
            fresh = [column for column in columns if oldest <= column.at <= now]
            since = max(float(kept["since"]), oldest) if fresh else now
        except (ValueError, TypeError, KeyError):
            return False
        self._columns.extendleft(reversed(fresh))
        self._marks.extendleft(mark for mark in reversed(marks) if mark.at >= oldest)
        self._since = min(self._since, since)
        return True


def describe_event(event: Mapping[str, Any]) -> str:
    """Say an event in a line: ``rolled to r2 (generation 5)``, ``web.2 died: SIGKILL``."""
    kind, message = str(event["kind"]), str(event.get("message") or "")
    who = str(event.get("worker") or event.get("pool") or "")
    if kind == "rolled":
        return f"rolled to {event.get('release')} (generation {event.get('generation')})"
    if kind == "roll_failed":
        return f"roll to {event.get('release')} failed: {message}"
    if kind == "scaled":
        return f"{who} scaled to {event.get('workers')} workers"
    if kind == "started":
        return "supervisor started" + (f", {message}" if message and not message.startswith("0 ") else "")
    said = f"{who} {kind.replace('_', ' ')}".strip()
    return f"{said}: {message}" if message else said


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return under how many seconds *share* of the answers lie, None if there were none.

    *counts* are by bucket of ``BOUNDS_S``; between two bounds the answers are taken as evenly spread. What is beyond
    the last bound is said to be at it.
    """
    total = sum(counts)
    if total <= 0:
        return None
    wanted, seen, lower = share * total, 0, 0.0
    for count, upper in zip(counts, BOUNDS_S, strict=False):
        if count and seen + count >= wanted:
            return lower + (upper - lower) * (wanted - seen) / count
        seen += count
        lower = upper
    return BOUNDS_S[-1]


def _column(at: float, took_s: float, base: Sample, sample: Sample) -> Column:
    classes = _less(sample.counters.by_class(), base.counters.by_class())
    durations = _less(sample.counters.by_duration(), base.counters.by_duration())
    failed = classes[4] + max(0, sample.unanswered - base.unanswered)
    return Column(
        at,
        _round(sum(classes) / took_s),
        _round(classes[3] / took_s),
        _round(failed / took_s),
        _milliseconds(durations, 0.5),
        _milliseconds(durations, 0.95),
        _milliseconds(durations, 0.99),
        sample.in_flight,
        sample.held,
    )


def _milliseconds(durations: Sequence[int], share: float) -> float | None:
    found = quantile(durations, share)
    return None if found is None else _round(found * 1000)


def _less(now: Sequence[int], before: Sequence[int]) -> list[int]:
    """Return what came in between; a pool that was taken out of the stack makes nothing negative."""
    return [max(0, new - old) for new, old in zip(now, before, strict=True)]


def _round(value: float) -> float:
    return round(value, 2)
