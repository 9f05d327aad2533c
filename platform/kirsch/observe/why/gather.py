"""Evidence of one request out of the files of a stack: nginx's two logs, the workers' logs, events, captures."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kirsch.observe.accesslog import AccessLine, read_back
from kirsch.observe.captures import find_capture
from kirsch.observe.why.evidence import Evidence, Inside
from kirsch.spec import HostPaths, Stack

ACCESS_LIMIT_BYTES = 64 * 2**20
ERROR_LIMIT_BYTES = 8 * 2**20
LOG_LIMIT_BYTES = 8 * 2**20
EVENTS_LIMIT_BYTES = 4 * 2**20
NEIGHBOURS = 3000
BLOCK_LINES = 200
AROUND_S = 60.0
ERROR_MARGIN_S = 2.0

_ERROR = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] \d+#\d+: (?:\*(\d+) )?(.*)")
#: How a line of a worker's log begins that is not the continuation of another.
LINE_START = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d|\{\"time\":")


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where a stack tells what it did, and what its supervisor says now (empty when there is none)."""

    paths: HostPaths
    stack: Stack | None = None
    status: Mapping[str, Any] = field(default_factory=dict)

    def find_line(self, fits: Callable[[AccessLine], bool]) -> AccessLine | None:
        """Return the newest line of nginx's access log that *fits*, also of the file before it was rotated."""
        return next((line for line in self._lines() if fits(line)), None)

    def evidence_of(self, line: AccessLine | None, request_id: str = "") -> Evidence:
        """Gather what is known of the request that *line* tells of, or of the id where nginx says nothing."""
        request_id = line.id if line is not None else request_id
        capture = find_capture(self.paths.workers, request_id) if request_id else None
        return Evidence(
            id=request_id,
            line=line,
            errors=tuple(self._errors(line)) if line is not None else (),
            events=tuple(self._events(line)),
            log=tuple(self._blocks(request_id)) if request_id else (),
            capture=msgspec.structs.asdict(capture) if capture is not None else {},
            inside=self._inside(request_id),
            neighbours=tuple(self._neighbours(line)) if line is not None else (),
            stack=self.stack,
            notes={str(one["name"]): str(one["note"]) for one in self._workers() if one.get("note")},
        )

    def _lines(self) -> Iterator[AccessLine]:
        for path in (self.paths.nginx_access_log, f"{self.paths.nginx_access_log}.1"):
            yield from read_back(path, ACCESS_LIMIT_BYTES)

    def _neighbours(self, line: AccessLine) -> Iterator[AccessLine]:
        older = (one for one in self._lines() if one.at <= line.at and one.id != line.id)
        return islice(older, NEIGHBOURS)

    def _errors(self, line: AccessLine) -> Iterator[str]:
        """What nginx says of the connection within the request's time, and of no other request on it."""
        asked = f'request: "{line.method} {line.uri} '
        for text in tail(self.paths.nginx_error_log, ERROR_LIMIT_BYTES):
            found = _ERROR.match(text)
            if found is None or found[3] != line.connection:
                continue
            at = time.mktime(time.strptime(found[1], "%Y/%m/%d %H:%M:%S"))
            is_then = line.began - ERROR_MARGIN_S <= at <= line.at + ERROR_MARGIN_S
            if is_then and ('request: "' not in text or asked in text or not line.method):
                yield found[4]

    def _events(self, line: AccessLine | None) -> Iterator[Mapping[str, Any]]:
        for name in (f"{self.paths.events_log}.1", self.paths.events_log):
            for text in tail(name, EVENTS_LIMIT_BYTES):
                try:
                    event = json.loads(text)
                except ValueError:
                    continue
                at = float(event.get("at", 0.0))
                if line is None or line.began - AROUND_S <= at <= line.at + AROUND_S:
                    yield event

    def _blocks(self, request_id: str) -> Iterator[str]:
        """Lines of workers with the id, each with what follows it until the next line begins."""
        for path in sorted(Path(self.paths.log_dir).glob("*.log")):
            if path.stem.startswith("nginx-") or path.stem == "supervisor":
                continue
            block: list[str] = []
            for text in tail(str(path), LOG_LIMIT_BYTES):
                if request_id in text and LINE_START.match(text):
                    if block:
                        yield "\n".join(block)
                    block = _unfold(text)
                elif block and not LINE_START.match(text) and len(block) < BLOCK_LINES:
                    block.append(text)
                elif block:
                    yield "\n".join(block)
                    block = []
            if block:
                yield "\n".join(block)

    def _workers(self) -> Iterator[Mapping[str, Any]]:
        for pool in self.status.get("pools", ()):
            yield from pool.get("workers", ())

    def _inside(self, request_id: str) -> Inside | None:
        for worker in self._workers():
            for one in worker.get("running", ()):
                if request_id and one.get("request_id") == request_id:
                    return Inside(
                        id=request_id,
                        line=str(one.get("line", "")),
                        worker=str(worker.get("name", "")),
                        handler=str(one.get("handler", "")),
                        for_s=float(one.get("for_s", 0.0)),
                    )
        return None


def match_for(word: str) -> Callable[[AccessLine], bool]:
    """Return what finds the line that *word* names: an id, a URL with or without a host, or a path.

    A path without a query fits whatever the query was.
    """
    if "/" not in word:
        return lambda line: line.id == word
    parts = urlsplit(word)
    host, path, query = parts.hostname or "", parts.path or "/", parts.query

    def fits(line: AccessLine) -> bool:
        if host and line.host != host:
            return False
        return line.uri == f"{path}?{query}" if query else line.path == path

    return fits


def match_status(word: str) -> Callable[[AccessLine], bool]:
    """Return what finds the lines with the status *word*: ``502``, or ``5xx``."""
    return lambda line: (
        len(line.status) == len(word)
        and all(want in ("x", "X") or want == have for want, have in zip(word, line.status, strict=True))
    )


def tail(path: str, limit_bytes: int) -> Iterator[str]:
    """Yield the last lines of a text, at most *limit_bytes* of it; nothing where there is none."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - limit_bytes))
            if end > limit_bytes:
                file.readline()
            for line in file:
                yield line.decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return


def _unfold(text: str) -> list[str]:
    """Return the lines of a JSON line's message and traceback; of a text line itself."""
    if not text.startswith("{"):
        return [text]
    try:
        entry = json.loads(text)
    except ValueError:
        return [text]
    lines = [str(entry.get("message", ""))]
    return lines + str(entry.get("exception") or "").splitlines()
