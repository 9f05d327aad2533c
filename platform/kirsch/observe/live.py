"""What those who watch the status page are told, once a second: the sections and columns that have changed.

However many watch, the stack is looked at once a second; while nobody does, not at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import kirsch
from kirsch.observe.page import render_sections, render_title
from kirsch.observe.view import StackView

EVERY_S = 1.0
#: A newer column may be drawn while an older one is on its way: the last ones are told again.
COLUMNS_AGAIN = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """The page at one moment; *at* is of the monotonic clock."""

    at: float
    view: StackView
    sections: dict[str, str]

    def whole(self) -> dict[str, Any]:
        """Return all that a page needs that has just connected."""
        past = self.view.past
        return self._told(self.sections) | {
            "version": kirsch.__version__,
            "columns": past.columns,
            "marks": past.marks,
            "since": past.since,
        }

    def changes(self, before: Frame) -> dict[str, Any]:
        """Return what is another than in the frame *before*."""
        changed = {name: html for name, html in self.sections.items() if html != before.sections.get(name)}
        told = self._told(changed)
        known = before.view.past.columns[-1].at if before.view.past.columns else 0.0
        fresh = [column for column in self.view.past.columns[-60:] if column.at >= known]
        told["columns"] = fresh or self.view.past.columns[-COLUMNS_AGAIN:]
        if self.view.past.marks != before.view.past.marks:
            told["marks"] = self.view.past.marks
        return told

    def _told(self, sections: dict[str, str]) -> dict[str, Any]:
        return {"now": time.time(), "title": render_title(self.view), "sections": sections}


class Live:
    """Makes the frames. Lives on the event loop of the admin endpoint's pages.

    Args:
        look: returns the stack as it is now; may block.
        every_s: how often it is looked at.
    """

    def __init__(self, look: Callable[[], StackView], every_s: float = EVERY_S) -> None:
        self._look = look
        self._every_s = every_s
        self._making: asyncio.Task[Frame] | None = None
        self._frame: Frame | None = None
        self.watchers = 0

    async def tell(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the whole, then what changes, until the client goes or the stack cannot be looked at any more."""
        self.watchers += 1
        try:
            frame = await self._fresh()
            yield frame.whole()
            while True:
                await asyncio.sleep(self._every_s)
                before, frame = frame, await self._fresh()
                yield frame.changes(before)
        except TimeoutError:
            return  # the supervisor is about to go: the page asks its successor
        finally:
            self.watchers -= 1

    async def _fresh(self) -> Frame:
        """Return a frame that is no older than half of the time between two; all who ask at once get the same."""
        if self._frame is not None and time.monotonic() - self._frame.at < self._every_s / 2:
            return self._frame
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(asyncio.to_thread(self._make))
        # one who goes must not take the frame away from the others
        self._frame = await asyncio.shield(self._making)
        return self._frame

    def _make(self) -> Frame:
        view = self._look()
        return Frame(time.monotonic(), view, render_sections(view))
