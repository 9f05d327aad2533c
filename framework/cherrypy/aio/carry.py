"""Ambient state for coroutines: each sees its own request as the current one, however their steps interleave.

``cherrypy.request`` is the current thread's, and all coroutines share the event loop's thread. So a coroutine that
belongs to a request is carried: before each of its steps the request becomes current, after it no longer. Tasks that
it creates inherit this through a context variable, functions that it sends to other threads (``asyncio.to_thread``)
through the loop's executor. Bare callbacks (``call_soon``) do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from time import monotonic
from typing import Any

from cherrypy.context import serving
from cherrypy.core.logs import log

State = dict[str, Any]

#: Steps that take longer are named in the log: every other coroutine waits meanwhile.
BLOCKED_S = 0.5
_BLOCKED = "The event loop was blocked for %.1f s by %r; what blocks belongs into asyncio.to_thread()."

_current: ContextVar[State | None] = ContextVar("cherrypy_serving", default=None)


class Interrupted(Exception):
    """KeyboardInterrupt or SystemExit out of a coroutine: they would end the event loop for everybody."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(repr(cause))
        self.cause = cause


class Carried(Coroutine[Any, Any, Any]):
    """*coroutine* with *state*, the contents of ``serving``, in place in each step; the state follows its changes."""

    __slots__ = ("_coroutine", "_state")

    def __init__(self, coroutine: Any, state: State) -> None:
        self._coroutine = coroutine
        self._state = state

    def _step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        current = serving.__dict__
        state = self._state
        if current.get("request") is state.get("request") and current:
            return self._guarded(step, arguments)  # inside another step for the same request
        before = current.copy()
        current.clear()
        current.update(state)
        start = monotonic()
        try:
            return self._guarded(step, arguments)
        finally:
            if monotonic() - start > BLOCKED_S:
                log(_BLOCKED % (monotonic() - start, self._coroutine), "ASYNC", severity=30)
            state.clear()
            state.update(current)
            current.clear()
            current.update(before)

    @staticmethod
    def _guarded(step: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            return step(*arguments)
        except (KeyboardInterrupt, SystemExit) as error:
            raise Interrupted(error) from error

    def send(self, value: Any) -> Any:
        """Go on to the next await."""
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        """End before the end."""
        self._step(self._coroutine.close)

    def __getattr__(self, name: str) -> Any:
        # cr_frame, cr_running and the like: libraries look whether a task has begun
        if not name.startswith("cr_"):
            raise AttributeError(name)
        return getattr(self._coroutine, name)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    def __iter__(self) -> Carried:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def __repr__(self) -> str:
        return f"<Carried {self._coroutine!r}>"


def snapshot() -> State:
    """What is current in this thread, to be carried."""
    return serving.state()


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """A task factory: tasks that a carried coroutine creates are carried as well."""
    context = options.get("context")
    state = _current.get() if context is None else context.get(_current)
    if state and coroutine.__class__ is not Carried:
        coroutine = Carried(coroutine, state)
    return asyncio.Task(coroutine, loop=loop, **options)


def start_carried(loop: asyncio.AbstractEventLoop, awaitable: Any, state: State) -> asyncio.Task[Any]:
    """Start a task for *awaitable* that carries *state*; on the loop's thread."""
    context = copy_context()
    context.run(_current.set, state)
    coroutine = awaitable if asyncio.iscoroutine(awaitable) else _await(awaitable)
    return loop.create_task(Carried(coroutine, state), context=context)


async def _await(awaitable: Any) -> Any:
    return await awaitable


class CarryingExecutor(ThreadPoolExecutor):
    """Threads for blocking functions; these see the request of whoever sent them here."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run *function* in one of the threads."""
        state = snapshot()
        if not state:
            return super().submit(function, *args, **kwargs)
        return super().submit(_run_with, state, function, args, kwargs)


def _run_with(state: State, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    serving.__dict__.update(state)
    try:
        return function(*args, **kwargs)
    finally:
        serving.clear()
