"""What became of a message, as its sender sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from kirsch.link import wire

#: How long the hub's receipt is waited for beyond the message's own time.
MARGIN_S = 2.0


class Receipt:
    """A message on its way. Whatever is asked of it waits until everybody has answered or the time is over."""

    def __init__(self, frame: wire.Send, poke: Callable[[], None]) -> None:
        self.frame = frame
        self._poke = poke
        self._come = threading.Event()
        self._found = wire.Receipted(id=frame.id)
        self.problem = ""
        """Why nothing is known of it: there was no hub to answer."""

    def __repr__(self) -> str:
        return f"<Receipt of {self.frame.channel}: {self if self.is_done else 'on its way'}>"

    def __str__(self) -> str:
        words = [f"{len(self.delivered)} of {self.total}"]
        words += [f"{member} failed: {why}" for member, why in self.failed.items()]
        words += [f"{member} did not answer in time" for member in self.timed_out]
        words += [word for word in (self.problem, self.degraded) if word]
        return "; ".join(words)

    @property
    def channel(self) -> str:
        """Where it went to."""
        return self.frame.channel

    @property
    def is_done(self) -> bool:
        """True once nothing more will be heard."""
        return self._come.is_set()

    def wait(self) -> Receipt:
        """Wait until everybody has answered, or the message's time is over."""
        if not self._come.wait(self.frame.timeout_s + 0.05):
            self._poke()
            if not self._come.wait(MARGIN_S):
                self.settle(wire.Receipted(id=self.frame.id), "no hub has answered")
        return self

    @property
    def delivered(self) -> tuple[str, ...]:
        """Ids of the members whose listeners have run."""
        return self.wait()._found.delivered

    @property
    def failed(self) -> Mapping[str, str]:
        """Members that did not take it, or whose listeners failed, and why."""
        return self.wait()._found.failed

    @property
    def timed_out(self) -> tuple[str, ...]:
        """Members that have not answered in time: it may reach them yet, or have done so."""
        return self.wait()._found.timed_out

    @property
    def replies(self) -> dict[str, Any]:
        """What the listeners have returned, as a list for each member; for messages that were sent by ``call``."""
        return {member: wire.unpack(raw) for member, raw in self.wait()._found.replies.items()}

    @property
    def degraded(self) -> str:
        """Why other hosts were not asked; empty when they were."""
        return self.wait()._found.degraded

    @property
    def total(self) -> int:
        """For how many members it was."""
        return len(self.delivered) + len(self.failed) + len(self.timed_out)

    @property
    def ok(self) -> bool:
        """True when all have it."""
        return not (self.problem or self.failed or self.timed_out or self.degraded)

    def __bool__(self) -> bool:
        return self.ok

    def settle(self, found: wire.Receipted, problem: str = "") -> None:
        """Take what has become of it."""
        if not self._come.is_set():
            self._found, self.problem = found, problem
            self._come.set()
