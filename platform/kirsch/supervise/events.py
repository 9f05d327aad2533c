"""What happens in a stack, as it happens: to the log, to whoever listens on the control socket, to the status page."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

KEPT = 200
_DETAILS_ONLY = {"report", "requests", "running"}

Listener = Callable[[dict[str, Any]], object]


class Events:
    """The supervisor's story. An event is a dict: ``kind``, ``at`` (Unix time), ``worker`` or ``pool``, details."""

    def __init__(self) -> None:
        self.recent: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._listeners: list[Listener] = []

    def say(self, kind: str, *, level: int = logging.INFO, **details: Any) -> None:
        """Tell an event to everybody."""
        event = {"kind": kind, "at": round(time.time(), 3)} | {
            name: value for name, value in details.items() if value is not None
        }
        shown = " ".join(
            f"{name}={value!r}" if isinstance(value, str) else f"{name}={value}"
            for name, value in event.items()
            if name not in {"kind", "at"} | _DETAILS_ONLY
        )
        log.log(level, "%s %s", kind, shown)
        self.recent.append(event)
        for listener in tuple(self._listeners):
            listener(event)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call *listener* with every event from now on; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)
