"""Asynchronous pages: what becomes of a coroutine, or an asynchronous generator, that a page returns.

Where the server is ours and every handler around the page can wait, the thread goes on with other requests (``Later``).
Anywhere else, under a WSGI server or inside a wrapper that wants the result itself, the thread waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import AsyncGeneratorType, CoroutineType
from typing import Any

from cherrypy.aio.carry import snapshot
from cherrypy.aio.runner import runner
from cherrypy.context import serving
from cherrypy.core.later import Later, is_understood

#: Kinds of results that have to be settled. PERF: asked by class, 25 ns a request.
ASYNCHRONOUS = frozenset({CoroutineType, AsyncGeneratorType})


def settle(result: Any) -> Any:
    """Return what stands for *result*, of a kind in ``ASYNCHRONOUS``: a body, a ``Later``, or (waiting) the result."""
    if isinstance(result, AsyncGeneratorType):
        if serving.response.stream:
            return Pieces(result)
        result = _collect(result)
    awaitable = _bodied(result)
    request = serving.request
    if request._message is not None and is_understood(request.handler):
        return Later(awaitable, result)
    return runner.wait(awaitable)


async def _bodied(awaitable: Any) -> Any:
    """Await a page; an asynchronous iterator that it returns becomes a body."""
    result = await awaitable
    if hasattr(result, "__aiter__") and not isinstance(result, Pieces):
        return Pieces(result) if serving.response.stream else await _collect(result)
    return result


async def _collect(pieces: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in pieces]


def wrapped(newhandler: Callable[..., Any], inner: Any) -> Callable[..., Any]:
    """Return a handler that runs *newhandler*, a coroutine function, around the handler *inner*: what it awaits."""

    async def next_handler(*args: Any, **kwargs: Any) -> Any:
        result = await asyncio.to_thread(inner, *args, **kwargs)  # the page inside may be one that blocks
        return result.finish(await result.awaitable) if isinstance(result, Later) else result

    def wrap(*args: Any, **kwargs: Any) -> Any:
        return settle(newhandler(next_handler, *args, **kwargs))

    wrap.inner_handler = lambda: inner  # type: ignore[attr-defined]
    return wrap


class Pieces:
    """A streamed body that is made asynchronously. A thread may iterate over it as well, and waits then.

    Args:
        source: yields the pieces.
        leave: called when the server drains or stops; None to let the stream go on to its end, or to the deadline.
        unused: awaited in place of the source's end when nobody has asked for a piece.

    Attributes:
        state: what is current for the stream's steps.
    """

    def __init__(
        self,
        source: AsyncIterator[Any],
        leave: Callable[[], object] | None = None,
        unused: Callable[[], Coroutine[Any, Any, Any]] | None = None,
    ) -> None:
        self._source = source
        self._unused = unused
        self._steps: list[Callable[[Any], Any]] = []
        self._iterator: AsyncIterator[Any] | None = None
        self._is_over = False
        self.state = snapshot()
        self.leave = leave

    def map_pieces(self, step: Callable[[Any], Any]) -> Pieces:
        """Have *step* make each piece of the one before; returns this body."""
        self._steps.append(step)
        return self

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> Any:
        if self._is_over:
            raise StopAsyncIteration
        if self._iterator is None:
            self._iterator = aiter(self._source)
        try:
            piece = await anext(self._iterator)
        except BaseException:
            self._is_over = True
            raise
        for step in self._steps:
            piece = step(piece)
        return piece

    async def aclose(self) -> None:
        """End before the end: what the source does in ``finally`` is done."""
        if self._iterator is None and self._unused is not None and not self._is_over:
            await self._unused()
        self._is_over = True
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return runner.wait(anext(self))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """The same for a thread."""
        if not self._is_over:
            runner.wait(self.aclose())
