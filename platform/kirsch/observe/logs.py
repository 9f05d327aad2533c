"""Lines of all logs of a stack as entries of one kind: when, who, how bad, of which request; and which are wanted.

Forms: nginx's JSON access lines, nginx's error lines, the supervisor's, workers' records as text or JSON. What none of
them is belongs to the entry above it (a traceback), or stands for itself.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kirsch.observe.accesslog import AccessLine, parse_line

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_NGINX_LEVELS = {
    "debug": "DEBUG", "info": "INFO", "notice": "INFO", "warn": "WARNING", "error": "ERROR", "crit": "CRITICAL",
    "alert": "CRITICAL", "emerg": "CRITICAL",
}  # fmt: skip
ACCESS_LOG, ERROR_LOG = "nginx-access", "nginx-error"
CONTINUATIONS = 500

_NGINX_ERROR = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] (.*)")
_SUPERVISOR = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) ([A-Z]+) (.*)")
_WORKER = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z) ([A-Z]+) (\S+) (?:\[([^\]\s]+)\] )?(.*)")
_SPAN = re.compile(r"(\d+)\s*([smhd])")
_SPANS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was logged."""

    source: str
    """The log's name: ``web.1``, ``nginx-access``."""
    text: str
    """For people, without the time; further lines (a traceback) below."""
    at: float | None = None
    """Unix time; None for what nobody dated."""
    level: str = "INFO"
    status: int = 0
    path: str = ""
    request_id: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    """What a JSON line said, for programs."""

    def to_json(self) -> str:
        """Return the entry as one JSON object."""
        shown = {"at": self.at, "log": self.source, "level": self.level, "message": self.text}
        if self.request_id:
            shown["request_id"] = self.request_id
        extra = {name: value for name, value in self.data.items() if name not in shown}
        return json.dumps(shown | extra)


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """What is wanted; empty values want everything."""

    pool: str = ""
    worker: str = ""
    level: str = ""
    """This one and what is worse."""
    status: str = ""
    """``502``, ``5xx``; lines without a status are unwanted then."""
    path: str = ""
    """How it begins; lines without a path are unwanted then."""
    request_id: str = ""
    since: float = 0.0

    def wants(self, entry: Entry) -> bool:
        """True for an entry that is to be shown."""
        if self.since and (entry.at is None or entry.at < self.since):
            return False
        if self.pool and entry.source.rpartition(".")[0] != self.pool:
            return False
        if self.worker and entry.source != self.worker:
            return False
        if self.level and _rank(entry.level) < _rank(self.level):
            return False
        if self.request_id and self.request_id not in (entry.request_id, *entry.text.split()):
            return False
        if self.path and not entry.path.startswith(self.path):
            return False
        return not self.status or _fits(self.status, entry.status)


def parse_entry(source: str, line: str) -> Entry | None:
    """Return the entry that *line* begins; None for one that belongs to the entry above it."""
    if line.startswith("{"):
        return _from_json(source, line)
    if source.startswith(ERROR_LOG) and (found := _NGINX_ERROR.match(line)):
        at = time.mktime(time.strptime(found[1], "%Y/%m/%d %H:%M:%S"))
        path = re.search(r'request: "[A-Z]+ ([^ ?"]*)', found[3])
        level = _NGINX_LEVELS.get(found[2], "INFO")
        return Entry(source, found[3], at, level, path=path[1] if path else "")
    if found := _WORKER.match(line):
        text = f"{found[3]}: {found[5]}"
        return Entry(source, text, _iso(found[1]), found[2], request_id=found[4] or "")
    if found := _SUPERVISOR.match(line):
        at = time.mktime(time.strptime(found[1], "%Y-%m-%d %H:%M:%S")) + int(found[2]) / 1000
        return Entry(source, found[4], at, found[3])
    return None


def join_lines(source: str, lines: Iterable[str], above: Entry | None = None) -> Iterator[Entry]:
    """Yield the entries that *lines* make; *above* is the dated entry that they may go on."""
    current, more = None, 0
    for line in lines:
        entry = parse_entry(source, line)
        if entry is not None:
            if current is not None:
                yield current
            current, more = entry, 0
        elif current is not None and current.at is not None and more < CONTINUATIONS:
            current, more = replace(current, text=f"{current.text}\n{line}"), more + 1
        else:
            if current is not None:
                yield current
            current = Entry(source, line, above.at if above is not None else None)
            if above is not None:
                current = replace(current, level=above.level, request_id=above.request_id, path=above.path)
                more = 0
    if current is not None:
        yield current


def merge(entries: Iterable[Entry]) -> list[Entry]:
    """Return *entries* by time; what nobody dated comes first, in its order."""
    return sorted(entries, key=lambda entry: entry.at or 0.0)


def parse_since(text: str, now: float) -> float:
    """Return the moment that ``10m``, ``2h30m`` (ago) or ``2026-11-21T21:00`` names, as Unix time.

    Raises:
        ValueError: it names none.
    """
    found = _SPAN.findall(text)
    if found and "".join(number + unit for number, unit in found) == text.replace(" ", ""):
        return now - sum(int(number) * _SPANS_S[unit] for number, unit in found)
    return datetime.fromisoformat(text).timestamp()


def _from_json(source: str, line: str) -> Entry | None:
    if source.startswith(ACCESS_LOG):
        access = parse_line(line.encode("utf-8", "surrogateescape"))
        return _from_access(source, access) if access is not None else None
    try:
        data = json.loads(line)
    except ValueError:
        return None
    if not isinstance(data, dict) or "message" not in data:
        return None
    text = f"{data.get('logger', '')}: {data['message']}"
    if data.get("exception"):
        text += f"\n{data['exception']}"
    status = data.get("status")
    return Entry(
        source,
        text,
        _iso(str(data.get("time", ""))),
        str(data.get("level", "INFO")),
        status if isinstance(status, int) else 0,
        str(data.get("path") or ""),
        str(data.get("request_id") or ""),
        data,
    )


def _from_access(source: str, line: AccessLine) -> Entry:
    level = "ERROR" if line.code >= 500 else "WARNING" if line.code >= 400 else "INFO"
    what = f"{line.method} {line.uri}" if line.method else repr(line.line[:80])
    behind = f" {line.upstream_status} of {len(line.tries)}" if len(line.tries) > 1 else ""
    worker = f" {line.worker}" if line.worker else ""
    text = f"{line.status} {what} {line.took_s:.3f} s{behind}{worker} {line.client} {line.host}"
    data = {name: getattr(line, name) for name in line.__struct_fields__ if getattr(line, name)}
    return Entry(source, text, line.at or None, level, line.code, line.path, line.id, data)


def _iso(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _rank(level: str) -> int:
    return LEVELS.index(level.upper()) if level.upper() in LEVELS else 1


def _fits(wanted: str, status: int) -> bool:
    text = str(status)
    return len(text) == len(wanted) and all(
        want in "xX" or want == have for want, have in zip(wanted, text, strict=True)
    )
