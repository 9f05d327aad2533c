"""What watchers are told, and what it costs."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from kirsch.observe.history import Column, Mark, Past
from kirsch.observe.live import Live
from kirsch.observe.view import StackView


def column(at: float) -> Column:
    return Column(at, 10.0, 0.0, 0.0, 1.0, 2.0, 3.0, 1, 0)


class Stack:
    """A stack that changes with each look."""

    def __init__(self) -> None:
        self.looks = 0
        self.view = StackView(stack="shop", release="r1", generation=1, pid=1, started=0.0, pools=())

    def look(self) -> StackView:
        self.looks += 1
        columns = tuple(column(5.0 * number) for number in range(self.looks))
        marks = (Mark(5.0, "roll", "rolled"),) if self.looks > 2 else ()
        return replace(self.view, release=f"r{self.looks}", past=Past(0.0, columns, marks))


async def watch(live: Live, count: int) -> list[dict[str, Any]]:
    told = []
    stream = live.tell()
    async for one in stream:
        told.append(json.loads(json.dumps(one)))
        if len(told) == count:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    return told


def test_first_everything_then_what_changed() -> None:
    """Sections that are the same are not told again; of the columns those that are new or still grow."""
    stack = Stack()
    first, second, third = asyncio.run(watch(Live(stack.look, 0.01), 3))

    assert "r1" in first["sections"]["status"]
    assert first["columns"] == [list(column(0.0))]
    assert "version" in first
    assert set(second["sections"]) <= {"status", "tiles"}
    assert "r2" in second["sections"]["status"]
    assert [one[0] for one in second["columns"]] == [0.0, 5.0]
    assert "marks" not in second
    assert third["marks"] == [[5.0, "roll", "rolled"]]


def test_many_watchers_are_one_look() -> None:
    """A hundred pages cost what one does."""
    stack = Stack()
    live = Live(stack.look, 60.0)

    async def together() -> None:
        await asyncio.gather(*[watch(live, 1) for _ in range(100)])

    asyncio.run(together())

    assert stack.looks == 1
    assert live.watchers == 0


def test_a_supervisor_that_does_not_answer_ends_the_stream() -> None:
    """Its successor is asked by the page."""

    def look() -> StackView:
        raise TimeoutError

    assert asyncio.run(watch(Live(look), 1)) == []
