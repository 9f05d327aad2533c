"""Coroutines that carry what is current, step by step."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.aio import carry
from cherrypy.aio.carry import Carried, CarryingExecutor, Interrupted, make_task, snapshot, start_carried
from cherrypy.context import serving


@pytest.fixture(autouse=True)
def _nothing_current() -> Iterator[None]:
    serving.clear()
    yield
    serving.clear()


def run(main: Any) -> Any:
    """Run a coroutine function on a loop that carries."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_task_factory(make_task)
        return runner.run(main())


def test_each_step_finds_its_own_and_leaves_nothing() -> None:
    """Two interleaved coroutines, and the thread between their steps."""

    async def page(name: str) -> list[str]:
        seen = []
        for _ in range(3):
            seen.append(serving.request)
            await asyncio.sleep(0)
        return seen

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        tasks = [start_carried(loop, page(name), {"request": name}) for name in ("a", "b")]
        between = []
        while not all(task.done() for task in tasks):
            between.append(snapshot())
            await asyncio.sleep(0)
        return [task.result() for task in tasks], between

    results, between = run(main)

    assert results == [["a"] * 3, ["b"] * 3]
    assert all(state == {} for state in between)


def test_what_a_step_adds_is_there_in_the_next() -> None:
    """A session that begins in the page, for example."""

    async def page() -> Any:
        serving.session = "new"
        await asyncio.sleep(0)
        return serving.session

    async def main() -> Any:
        state = {"request": "a"}
        return await start_carried(asyncio.get_running_loop(), page(), state), state

    assert run(main) == ("new", {"request": "a", "session": "new"})


def test_what_is_meant_to_end_the_process_does_not_end_the_loop() -> None:
    """It comes out as an ordinary exception, with the real one inside."""

    async def page() -> None:
        raise KeyboardInterrupt

    async def main() -> Any:
        task = start_carried(asyncio.get_running_loop(), page(), {"request": "a"})
        await asyncio.wait((task,))
        return task.exception()

    error = run(main)

    assert isinstance(error, Interrupted)
    assert isinstance(error.cause, KeyboardInterrupt)


def test_it_looks_like_the_coroutine_inside() -> None:
    """Libraries ask whether a task's coroutine has begun."""

    async def page() -> None:
        """Do nothing."""

    inner = page()
    carried = Carried(inner, {})

    assert inspect.getcoroutinestate(carried) == inspect.CORO_CREATED  # type: ignore[arg-type]
    assert asyncio.iscoroutine(carried)
    assert not hasattr(carried, "other")
    carried.close()
    assert inspect.getcoroutinestate(inner) == inspect.CORO_CLOSED


def test_a_step_that_blocks_everybody_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the coroutine that did it."""
    monkeypatch.setattr(carry, "BLOCKED_S", 0.0)

    async def the_culprit() -> None:
        """Take some time."""

    async def main() -> None:
        await start_carried(asyncio.get_running_loop(), the_culprit(), {"request": None})

    run(main)

    assert "the_culprit" in caplog.text
    assert "asyncio.to_thread" in caplog.text


def test_threads_see_what_was_current_where_they_were_asked() -> None:
    """And nothing is left in the thread afterwards."""
    executor = CarryingExecutor(1)
    serving.request = "a"
    inside = executor.submit(lambda: serving.request)
    serving.clear()
    after = executor.submit(snapshot)

    assert inside.result() == "a"
    assert after.result() == {}
    assert cherrypy.serving is serving
    executor.shutdown()
