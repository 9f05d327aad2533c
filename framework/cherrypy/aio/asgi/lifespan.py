"""An ASGI application's start and stop, tied to the engine's.

Source: https://asgi.readthedocs.io/en/latest/specs/lifespan.html
"""

from __future__ import annotations

import asyncio
from typing import Any

from cherrypy.aio.asgi.scope import VERSIONS
from cherrypy.aio.runner import runner
from cherrypy.core.errors import CherryPyException
from cherrypy.core.logs import log
from cherrypy.process.wspbus import Bus, states

#: Seconds that an application may take to start, and to stop.
START_S, STOP_S = 60.0, 10.0
# before the HTTP server starts at 75, after it has stopped at 25
_START_PRIORITY, _STOP_PRIORITY = 60, 50


class LifespanFailed(CherryPyException):
    """The application says that it cannot start."""


class Lifespan:
    """One application's.

    Args:
        app: the ASGI application.
        name: for the log.

    Attributes:
        state: what the application put there at its start; copied into each scope.
    """

    def __init__(self, app: Any, name: str) -> None:
        self._app = app
        self._name = name
        self.state: dict[str, Any] = {}
        self._task: asyncio.Task[Any] | None = None
        self._events: Any = None
        self._answer: Any = None
        self._starting: asyncio.Task[None] | None = None

    def subscribe(self, engine: Bus) -> None:
        """Start and stop with *engine*; at once if that runs."""
        engine.subscribe("start", self.start, priority=_START_PRIORITY)
        engine.subscribe("stop", self.stop, priority=_STOP_PRIORITY)
        if engine.state is states.STARTED:
            self.start()

    def unsubscribe(self, engine: Bus) -> None:
        """Leave *engine*; the application is stopped if it runs."""
        engine.unsubscribe("start", self.start)
        engine.unsubscribe("stop", self.stop)
        self.stop()

    def start(self) -> None:
        """Let the application start, and wait for it.

        Raises:
            LifespanFailed: it cannot.
        """
        runner.wait_outside(self.ensure_started())

    def stop(self) -> None:
        """Let the application stop, and wait for it."""
        if runner.is_running and self._starting is not None:
            runner.wait_outside(self._stop())

    async def ensure_started(self) -> None:
        """Start the application unless it has been started; without an engine its first request does it."""
        if self._starting is None or self._starting.get_loop() is not asyncio.get_running_loop():
            self._starting = asyncio.create_task(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._events = asyncio.Queue()
        self._answer = loop.create_future()
        self.state.clear()
        scope = {"type": "lifespan", "asgi": VERSIONS, "state": self.state}
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._app(scope, self._events.get, self._take))
        await asyncio.wait((self._task, self._answer), timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if self._answer.done():
            self._answer.result()
        elif self._task.done():
            # it knows no lifespan: it raises, or returns at once
            if not self._task.cancelled():
                self._task.exception()
            self._task = None
        else:
            self._task.cancel()
            raise LifespanFailed(f"The ASGI application at {self._name!r} did not start within {START_S:.0f} seconds.")

    async def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if self._answer.done():
            return
        if kind.endswith(".complete"):
            self._answer.set_result(None)
        elif kind.endswith(".failed"):
            self._answer.set_exception(
                LifespanFailed(f"The ASGI application at {self._name!r} failed: {message.get('message', kind)}")
            )

    async def _stop(self) -> None:
        task, self._task = self._task, None
        self._starting = None
        if task is None or task.done():
            return
        self._answer = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait((task, self._answer), timeout=STOP_S, return_when=asyncio.FIRST_COMPLETED)
        if self._answer.done() and self._answer.exception() is not None:
            log.error(str(self._answer.exception()), severity=40)
        # its answer given, it may return; it has nothing more to do
        await asyncio.wait((task,), timeout=1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
