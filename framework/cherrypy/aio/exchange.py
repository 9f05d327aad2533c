"""Requests of the native server whose page is a coroutine: owners of connections that are AWAY.

pool thread                 event loop                     pool thread
run .. page -> Later  ->    PageTask: the coroutine  ->    resume: hooks, finalize, answer
                            StreamTask: Pieces       ->    close (on_end_request)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cherrypy.aio.carry import Interrupted, State
from cherrypy.aio.pages import Pieces
from cherrypy.aio.runner import runner
from cherrypy.aio.wire import Wire
from cherrypy.core.later import Abandoned, Later
from cherrypy.core.logs import log
from cherrypy.httpd.away import Away, Handover, Owner
from cherrypy.httpd.connection import ClientGone
from cherrypy.httpd.exchange import answering, ending
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.sending import CUT, END, KEEP, RESET
from cherrypy.httpd.writer import LAST_CHUNK, Framing

if TYPE_CHECKING:
    from collections.abc import Coroutine

Outcome = Callable[[], Any]


class TaskOwner(Owner):
    """An owner that is one task on the event loop; cancelled when the client goes, or time is over.

    Args:
        state: what is current in the task.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.away: Any = None
        self.task: Any = None
        self.is_cancelled = False

    def begin(self, away: Away) -> None:
        """Start the task."""
        self.away = away
        runner.call(self._start)

    def _start(self) -> None:
        self.task = runner.start_exchange(self.make(), self.state, self._finish)
        if self.is_cancelled:
            self.task.cancel()

    def gone(self) -> None:
        """Cancel the task."""
        runner.call(self._cancel)

    cut = gone

    def _cancel(self) -> None:
        self.is_cancelled = True
        if self.task is not None:
            self.task.cancel()

    def _finish(self, task: asyncio.Task[Any]) -> None:
        # a wall: a connection that does not come back would be waited for at every stop
        try:
            self.finish(task)
        except Exception:
            log(traceback=True, severity=40)
            runner.bring_back(self.away, ending(RESET, None))

    def make(self) -> Coroutine[Any, Any, Any]:
        """What the task runs."""
        raise NotImplementedError

    def finish(self, task: asyncio.Task[Any]) -> None:
        """Bring the connection back; called once, however the task ended."""
        raise NotImplementedError


def error_of(task: asyncio.Task[Any], is_cancelled: bool) -> BaseException | None:
    """Return what *task* has failed with, if it has."""
    if task.cancelled():
        return Abandoned() if is_cancelled else RuntimeError("The page's task was cancelled from within.")
    error = task.exception()
    return error.cause if isinstance(error, Interrupted) else error


class PageTask(TaskOwner):
    """Runs a page's coroutine; then a pool thread goes on with the request.

    Args:
        later: what the page returned.
        state: what is current for the request.
        go_on: answers, when it is called with the page's outcome.
    """

    def __init__(self, later: Later, state: State, go_on: Callable[[Outcome], Answer]) -> None:
        super().__init__(state)
        self._later = later
        self._go_on = go_on

    async def make(self) -> Any:
        """Await the page."""
        return await self._later.awaitable

    def finish(self, task: asyncio.Task[Any]) -> None:
        """Have the request go on with what the page came to."""
        error = error_of(task, self.is_cancelled)
        later = self._later
        later.close()

        def outcome() -> Any:
            if error is not None:
                raise error
            return later.finish(task.result())

        def respond(message: Message) -> Answer:
            return self._go_on(outcome)

        runner.bring_back(self.away, answering(respond))


class StreamBody(Handover):
    """A body of ``Pieces`` that sends itself."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def take(self, framing: Framing, close: Callable[[], object] | None) -> Owner:
        """Return who sends it."""
        return StreamTask(self._pieces, framing, close)


class StreamTask(TaskOwner):
    """Sends a head and pieces, at the pace of both ends, without a thread."""

    reads = True

    def __init__(self, pieces: Pieces, framing: Framing, close: Callable[[], object] | None) -> None:
        super().__init__(pieces.state)
        self._pieces = pieces
        self._framing = framing
        self._close = close
        self._wire: Wire | None = None
        self._has_begun = False

    def leave(self) -> None:
        """Ask the stream to end, if it can be asked."""
        if self._pieces.leave is not None:
            runner.call(self._pieces.leave)

    async def make(self) -> Any:
        """Send everything; returns the outcome for the connection."""
        wire = self._wire = Wire(self.away.connection)
        wire.watch(self._cancel)
        head, keep, has_body, length, chunked = self._framing
        try:
            if not has_body:
                await wire.send(head)
                return KEEP if keep else END
            sent = await self._pump(wire, head, length, chunked)
            if length is not None and sent < length:
                log.error(f"A streamed body is too short: {length} octets declared, {sent} sent.", severity=40)
                return CUT
            return KEEP if keep else END
        finally:
            await self._pieces.aclose()

    async def _pump(self, wire: Wire, head: bytes, length: int | None, chunked: bool) -> int:
        sent = 0
        pending = head
        async for piece in self._pieces:
            if not isinstance(piece, bytes):
                raise TypeError(f"A streamed body must be made of bytes, not {type(piece).__name__}.")
            if not piece:
                continue
            if length is not None and sent + len(piece) > length:
                log.error(f"A streamed body is too long, cut at its declared {length} octets.", severity=40)
                piece = piece[: length - sent]
            sent += len(piece)
            self._has_begun = True
            await wire.send(pending + (b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece))
            pending = b""
            if length is not None and sent >= length:
                return sent
        await wire.send(pending + LAST_CHUNK if chunked else pending)
        return sent

    def finish(self, task: asyncio.Task[Any]) -> None:
        """Settle the connection: a stream that failed never ends cleanly."""
        sent_bytes = 0
        if self._wire is not None:
            self._wire.release()
            sent_bytes = self._wire.sent_bytes
        error = error_of(task, self.is_cancelled)
        framing = self._framing
        close = self._close
        if error is None:
            work = ending(task.result(), close, sent_bytes)
        elif isinstance(error, ClientGone | Abandoned):
            work = ending(RESET, close, sent_bytes)
        elif self._has_begun or sent_bytes:
            work = ending(CUT if framing[4] or framing[3] is not None else RESET, _failing(error, close), sent_bytes)
        else:
            work = answering(_refusing(error, close))
        runner.bring_back(self.away, work)


def _failing(error: BaseException, close: Callable[[], object] | None) -> Callable[[], object]:
    """Return a close that logs *error*, or raises it if it is meant to end the process."""

    def end() -> None:
        try:
            if close is not None:
                close()
        finally:
            _log(error)

    return end


def _refusing(error: BaseException, close: Callable[[], object] | None) -> Callable[[Message], Answer]:
    """Return a responder that fails as the stream did, before anything of it was sent: the client gets a 500."""

    def respond(message: Message) -> Answer:
        if close is not None:
            close()
        raise error

    return respond


def _log(error: BaseException) -> None:
    if not isinstance(error, Exception):
        raise error
    try:
        raise error
    except Exception:
        log(traceback=True, severity=40)
