"""Failed requests are kept: the last few of each handler, without secrets, in a file of bounded size."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from kirsch.link.order import Order
from kirsch.observe.captures import (
    SLOT_BYTES,
    SLOTS,
    SUFFIX,
    Capture,
    encode_slot,
    redact_headers,
    redact_target,
)

log = logging.getLogger(__name__)

#: Of one handler no more than one in so long: a storm of failures must not become one of writing.
EVERY_S = 0.1
FIELDS_LIMIT_BYTES = 6000


class Captures:
    """The captures of one worker.

    Args:
        order: says how many, and who the worker is.
        fault_of: returns the exception that was logged in a request, by its id.
        clock: Unix time.
    """

    def __init__(
        self, order: Order, fault_of: Callable[[str], str] = lambda found: "", clock: Callable[[], float] = time.time
    ) -> None:
        self._order = order
        self._fault_of = fault_of
        self._clock = clock
        self._lock = threading.Lock()
        self._file = -1
        self._free = list(range(SLOTS - 1, -1, -1))
        self._kept: dict[str, deque[int]] = {}
        """Slots by handler, the oldest first."""
        self._written: dict[str, float] = {}

    @property
    def path(self) -> str:
        """The file; there once something was kept."""
        return f"{self._order.socket_dir}/{self._order.name}.{os.getpid()}{SUFFIX}"

    @property
    def body_bytes(self) -> int:
        """How much of a body is kept; 0 for nothing of it."""
        return self._order.capture_body_bytes

    def keep(
        self,
        *,
        request: tuple[str, str],
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        status: int,
        began_ns: int,
        body: bytes | None = None,
    ) -> None:
        """Keep a failed request; *request* is its id and handler, *began_ns* is monotonic."""
        found, handler = request
        now = self._clock()
        if self._order.capture < 1 or now - self._written.get(handler, -EVERY_S) < EVERY_S:
            return
        limit = self.body_bytes
        capture = Capture(
            id=found,
            at=round(now, 3),
            worker=self._order.name,
            release=self._order.release,
            generation=self._order.generation,
            method=method,
            target=redact_target(target),
            headers=redact_headers(_fitting(headers)),
            status=status,
            duration_s=round((time.monotonic_ns() - began_ns) / 1e9, 6),
            handler=handler,
            exception=self._fault_of(found),
            body=body[:limit] if body is not None and limit else None,
            body_is_cut=body is not None and len(body) > limit,
        )
        slot = encode_slot(capture)
        if slot is None:
            return
        with self._lock:
            self._written[handler] = now
            try:
                os.pwrite(self._open(), slot, self._place(handler) * SLOT_BYTES)
            except OSError as error:
                log.warning("a failed request could not be kept: %s", error)

    def _open(self) -> int:
        if self._file < 0:
            # SECURITY: what visitors sent is for the operator alone
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        return self._file

    def _place(self, handler: str) -> int:
        """Return the slot to write: a free one, the handler's oldest, or the oldest of who has most."""
        mine = self._kept.setdefault(handler, deque())
        if len(mine) >= self._order.capture:
            slot = mine.popleft()
        elif self._free:
            slot = self._free.pop()
        else:
            richest = max(self._kept, key=lambda name: len(self._kept[name]))
            slot = self._kept[richest].popleft()
            if not self._kept[richest] and richest != handler:
                del self._kept[richest]
                self._written.pop(richest, None)
        mine.append(slot)
        return slot


def _fitting(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return as many fields as fit into a slot."""
    found, size = [], 0
    for name, value in headers:
        size += len(name) + len(value)
        if size > FIELDS_LIMIT_BYTES:
            break
        found.append((name, value))
    return found
