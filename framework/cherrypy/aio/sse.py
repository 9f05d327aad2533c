"""Server-sent events: a page that yields, as a stream that browsers read with ``EventSource``.

    @cherrypy.expose
    @cherrypy.tools.sse()
    async def ticks(self):
        while True:
            yield {"now": time.time()}
            await asyncio.sleep(1)

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cherrypy.aio.pages import Pieces
from cherrypy.context import serving
from cherrypy.core.later import Later, is_understood

CONTENT_TYPE = "text/event-stream"

#: A line that clients skip: it opens the stream, and shows that it is alive.
_COMMENT = b":\n\n"
_LINE_END = re.compile(r"\r\n|\r|\n")
#: How long a generator may take to its first event, or to an ``HTTPError`` that is to be an answer: then the head goes.
_FIRST_S = 0.1


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        data: text, or anything that is JSON; None for an event without data, which only sets *id* or *retry*.
        event: its type; 'message' if None.
        id: what a client that connects anew sends as ``Last-Event-ID``.
        retry: milliseconds after which a client that lost the connection tries again.
    """

    data: Any = None
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None

    def render(self) -> bytes:
        r"""Return the event as it is sent.

        >>> Event("a\nb", event="news", id=7).render()
        b'event: news\nid: 7\ndata: a\ndata: b\n\n'

        Raises:
            ValueError: a line end, or NUL, in *event* or *id*.
        """
        lines = []
        for name, value in (("event", self.event), ("id", self.id)):
            if value is None:
                continue
            text = str(value)
            # SECURITY: a line end would begin a field of somebody else's choice
            if _LINE_END.search(text) or "\0" in text:
                raise ValueError(f"The {name} of a server-sent event is one line, not {text!r}.")
            lines.append(f"{name}: {text}")
        if self.retry is not None:
            lines.append(f"retry: {int(self.retry)}")
        if self.data is not None:
            lines += [f"data: {line}" for line in _LINE_END.split(_text(self.data))]
        return ("\n".join(lines) + "\n\n").encode()


def _text(data: Any) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, bytes):
        return data.decode()
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def render(item: Any) -> bytes:
    """Return what a page has yielded as it is sent: an ``Event``, text, or data that become JSON."""
    return (item if isinstance(item, Event) else Event(item)).render()


def last_event_id() -> str | None:
    """The id of the last event that the client has seen, if it connects anew; a client may send anything."""
    header: str | None = serving.request.headers.get("Last-Event-ID")
    return header


def sse(heartbeat: float | None = 15.0, retry: int | None = None) -> None:
    """Make what the page yields a stream of server-sent events.

    Args:
        heartbeat: seconds of silence after which a comment is sent, so that proxies and clients see a living stream;
            None for never. Only for asynchronous pages.
        retry: milliseconds after which clients that lost the stream try again.
    """
    request, response = serving.request, serving.response
    if request.handler is None:
        return  # an earlier tool has answered
    response.stream = True
    response.headers["Content-Type"] = CONTENT_TYPE
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would collect it
    request.hooks.attach("before_finalize", _free_session, priority=10)
    request.handler = _EventStream(request.handler, heartbeat, retry)


def _free_session() -> None:
    """Save the session before the stream: its lock would be held for as long as that lasts."""
    request = serving.request
    session = getattr(serving, "session", None)
    if session is not None and not hasattr(request, "_sessionsaved"):
        request._sessionsaved = True
        session.save()


class _EventStream:
    """The handler around the page."""

    def __init__(self, inner: Any, heartbeat: float | None, retry: int | None) -> None:
        self._inner = inner
        self._heartbeat = heartbeat
        self._opening = _COMMENT if retry is None else Event(retry=retry).render()
        self.callable = getattr(inner, "callable", inner)

    def inner_handler(self) -> Any:
        """The handler inside."""
        return self._inner

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result = self._inner(*args, **kwargs)
        except BaseException:
            serving.response.stream = False  # an error page is none
            raise
        if isinstance(result, Later):
            return Later(self._begin_later(result), result)
        if not isinstance(result, Pieces):
            return _plain(result)
        request = serving.request
        if request._message is not None and is_understood(request.handler):
            return Later(self._begin(result))
        return self._streamed(result, None)

    async def _begin_later(self, later: Later) -> Any:
        try:
            result = later.finish(await later.awaitable)
        except BaseException:
            serving.response.stream = False
            raise
        return await self._begin(result) if isinstance(result, Pieces) else _plain(result)

    async def _begin(self, source: Pieces) -> Pieces:
        """Start the page; an error that it begins with is an answer of its own, with its own status."""
        first = asyncio.create_task(_next(source))
        try:
            done, _ = await asyncio.wait((first,), timeout=_FIRST_S)
        except asyncio.CancelledError:
            first.cancel()
            raise
        if done and not first.cancelled():
            error = first.exception()
            if error is not None and not isinstance(error, StopAsyncIteration):
                serving.response.stream = False
                raise error
        return self._streamed(source, first)

    def _streamed(self, source: Pieces, first: asyncio.Task[Any] | None) -> Pieces:
        leaving = asyncio.Event()
        return Pieces(
            self._stream(source, first, leaving), leave=leaving.set, unused=lambda: _end_source(source, [first])
        )

    async def _stream(
        self, source: Pieces, pending: asyncio.Task[Any] | None, leaving: asyncio.Event
    ) -> AsyncIterator[bytes]:
        left = asyncio.create_task(leaving.wait())
        try:
            yield self._opening
            while True:
                pending = pending or asyncio.create_task(_next(source))
                done, _ = await asyncio.wait(
                    (pending, left), timeout=self._heartbeat or None, return_when=asyncio.FIRST_COMPLETED
                )
                if pending in done:
                    try:
                        item = pending.result()
                    except StopAsyncIteration:
                        return
                    pending = None
                    yield render(item)
                elif left in done:
                    return  # the client tries again, and finds another worker
                else:
                    yield _COMMENT
        finally:
            await _end_source(source, [left, pending])


async def _end_source(source: Pieces, tasks: list[asyncio.Task[Any] | None]) -> None:
    """End the page, with the tasks that wait for it."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await source.aclose()


async def _next(source: Pieces) -> Any:
    return await anext(source)


def _plain(result: Any) -> Iterator[bytes]:
    """Yield the events of a page that is no coroutine."""
    if result is None or isinstance(result, str | bytes | dict | Event) or not isinstance(result, Iterable):
        result = [] if result is None else [result]
    try:
        for item in result:
            yield render(item)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
