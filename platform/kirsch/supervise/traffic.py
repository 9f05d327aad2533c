"""What nginx answered, heard as it happens: its access log over a Unix datagram socket, counted in a thread.

nginx never waits for us: a datagram that finds the queue full is dropped; the difference to ``stub_status`` shows it.
The supervisor's events go to a file of their own here, too, so that whoever asks why finds them after its death.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kirsch.nginx.marker import ask_status
from kirsch.observe.accesslog import AccessLine, parse_line
from kirsch.observe.nginx_metrics import NginxTally, NginxTraffic, parse_stub_status
from kirsch.observe.why import Evidence, judge
from kirsch.spec import HostPaths
from kirsch.supervise.events import Events

log = logging.getLogger(__name__)

QUEUE_BYTES = 4 * 2**20
DATAGRAM_BYTES = 65536
STATUS_EVERY_S = 5.0
LOOK_S = 0.5
#: A worker's death is known a moment after nginx has answered for it.
JUDGED_AFTER_S = 1.0
WAITING_LIMIT = 1000
#: Of the same failure of the same vhost no more than so many a second are judged one by one.
JUDGED_A_SECOND = 50
EVENTS_BYTES = 4 * 2**20


class Traffic:
    """Counts what nginx tells; ``snapshot`` is what the metrics show."""

    def __init__(self, paths: HostPaths, events: Events, clock: Callable[[], float] = time.time) -> None:
        self._paths = paths
        self._events = events
        self._clock = clock
        self._tally = NginxTally()
        self._failed: deque[AccessLine] = deque(maxlen=WAITING_LIMIT)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._judged = (0, 0, "")
        events.listen(EventLog(paths.events_log).write)

    def start(self, admit: Callable[[str], None]) -> None:
        """Listen; *admit* lets nginx in. Without a socket nothing is counted, and everything else goes on."""
        path = self._paths.traffic_socket
        try:
            Path(path).unlink(missing_ok=True)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE_BYTES)
            self._socket.settimeout(LOOK_S)
            self._socket.bind(path)
            admit(path)
        except OSError as error:
            log.error("nginx's traffic is not counted: %s", error)
            self.stop()
            return
        self._thread = threading.Thread(target=self._listen, args=(self._socket,), name="kirsch-traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no longer."""
        line, self._socket = self._socket, None
        if line is not None:
            line.close()
            Path(self._paths.traffic_socket).unlink(missing_ok=True)
        if self._thread is not None:
            self._thread.join(LOOK_S + 1.0)
            self._thread = None

    def snapshot(self) -> NginxTraffic:
        """Return what was counted so far."""
        return self._tally.snapshot()

    def _listen(self, line: socket.socket) -> None:
        next_look = 0.0
        while self._socket is line:
            try:
                self.take(line.recv(DATAGRAM_BYTES))
            except TimeoutError:
                pass
            except OSError:
                return  # closed
            now = time.monotonic()
            if now >= next_look:
                next_look = now + STATUS_EVERY_S
                self._look()
            self.judge_old()

    def take(self, datagram: bytes) -> None:
        """Count one line."""
        line = parse_line(datagram)
        self._tally.add(line)
        if line is not None and (line.code >= 500 or line.code in (400, 408, 413, 429, 444, 499)):
            self._failed.append(line)

    def judge_old(self) -> None:
        """Find the causes of failures that are old enough for what explains them to be known."""
        now = self._clock()
        while self._failed and now - self._failed[0].at >= JUDGED_AFTER_S:
            self._tally.blame(self._cause_of(self._failed.popleft()))

    def _cause_of(self, line: AccessLine) -> str:
        second, count, last = self._judged
        if second != int(line.at):
            count = 0
        if count >= JUDGED_A_SECOND:
            return last
        events: tuple[Mapping[str, Any], ...] = tuple(self._events.recent.copy())
        cause = judge(Evidence(id=line.id, line=line, events=events)).cause
        self._judged = (int(line.at), count + 1, cause)
        return cause

    def _look(self) -> None:
        status = parse_stub_status(ask_status(self._paths.nginx_marker))
        if status is not None:
            self._tally.see_status(status)


class EventLog:
    """The supervisor's events in a file: one JSON object a line, one file before it when it is full."""

    def __init__(self, path: str, limit_bytes: int = EVENTS_BYTES) -> None:
        self._path = path
        self._limit = limit_bytes

    def write(self, event: Mapping[str, Any]) -> None:
        """Append an event; a disk that takes no more is no reason to stop anything."""
        text = json.dumps(event, default=str) + "\n"
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(text)
                is_full = file.tell() >= self._limit
            if is_full:
                os.replace(self._path, f"{self._path}.1")
        except OSError as error:
            log.debug("event not written: %s", error)
