"""A seat of a pool: what stays when the worker in it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from kirsch.supervise.backoff import Backoff
from kirsch.supervise.worker import Worker


@dataclass
class Seat:
    """A place for one worker; its number is part of the worker's name."""

    number: int
    worker: Worker | None = None
    backoff: Backoff = field(default_factory=Backoff)
    restarts: int = 0
    replacing: asyncio.Task[None] | None = None
    last_failure: dict[str, Any] | None = None
    lent: tuple[int, ...] = ()
    """The slots that its worker had when it died; they come back to the next one."""
    is_out: bool = False
    """True while the operator keeps its worker from new requests (``kirsch drain``)."""

    @property
    def is_ready(self) -> bool:
        """True when a worker sits here that can serve."""
        return self.worker is not None and self.worker.state == "ready" and not self.worker.is_gone

    def stop_replacing(self) -> None:
        """Call off the replacement that is under way, or waits for its time."""
        if self.replacing is not None:
            self.replacing.cancel()
            self.replacing = None
