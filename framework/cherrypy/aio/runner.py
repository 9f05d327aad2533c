"""The process's event loop, in a thread of its own: started by the first who needs it, stopped with the engine."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cherrypy.aio.carry import CarryingExecutor, make_task, snapshot, start_carried
from cherrypy.httpd.away import Away, Work
from cherrypy.process.wspbus import Bus, bus

log = logging.getLogger(__name__)

#: After which a connection that comes back insists on a thread: every thread of the pool is held up then.
INSIST_S = 0.1
#: How long cancelled tasks may take to end when the loop stops.
CANCEL_S = 2.0
#: How long exchanges may go on when the loop is stopped from inside one of them.
LEAVE_S = 5.0
#: Threads for blocking functions of coroutines (``asyncio.to_thread``), and for connections that insist.
THREADS = 32

_STOP_PRIORITY = 60  # the HTTP server stops at 25, and waits for its requests


class Runner:
    """Starts, feeds and stops the event loop. A forked child has none until it needs its own.

    Args:
        engine: the bus whose 'stop' stops the loop.
    """

    def __init__(self, engine: Bus) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._executor: CarryingExecutor | None = None
        self._insisting: ThreadPoolExecutor | None = None
        self._process = 0
        self._exchanges: set[asyncio.Task[Any]] = set()
        self._started: set[asyncio.Task[Any]] = set()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, running."""
        loop = self._loop
        if loop is not None and self._process == os.getpid():
            return loop
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._start()
            assert self._loop is not None
            return self._loop

    def _start(self) -> None:
        loop = asyncio.new_event_loop()
        loop.set_task_factory(make_task)
        self._executor = CarryingExecutor(THREADS, "CP Coroutine Helper")
        self._insisting = ThreadPoolExecutor(THREADS, "CP Insisting")
        loop.set_default_executor(self._executor)
        self._exchanges = set()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="CP Event Loop", daemon=True)
        self._thread.start()
        self._process = os.getpid()
        self._loop = loop
        self._engine.subscribe("stop", self.stop, priority=_STOP_PRIORITY)

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    @property
    def is_running(self) -> bool:
        """True between the first use and the stop."""
        return self._loop is not None and self._process == os.getpid()

    def owns_thread(self) -> bool:
        """True in the loop's own thread, and in those that run blocking functions for coroutines."""
        current = threading.current_thread()
        executor = self._executor
        return self.is_running and (current is self._thread or (executor is not None and current in executor._threads))

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Have the loop call *function* soon; from any thread."""
        self.loop.call_soon_threadsafe(function, *args)

    def start_exchange(self, awaitable: Any, state: dict[str, Any], done: Callable[[asyncio.Task[Any]], Any]) -> Any:
        """Start a task for a request, with *state* carried; on the loop's thread. Returns the task.

        A stop from inside such a task waits for the others.
        """
        task = start_carried(self.loop, awaitable, state)
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)
        task.add_done_callback(done)
        return task

    def wait(self, awaitable: Any) -> Any:
        """Return the result of *awaitable*, run on the loop for the current request; blocks this thread.

        Raises:
            RuntimeError: called on the loop's own thread.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("An asynchronous page cannot be waited for on the event loop; await it.")
        return asyncio.run_coroutine_threadsafe(_in_task(awaitable, snapshot()), self.loop).result()

    def wait_outside(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Wait for *coroutine*; on the loop's own thread only start it, since nobody can wait there."""
        if threading.current_thread() is self._thread:
            task = self.loop.create_task(coroutine)
            self._started.add(task)
            task.add_done_callback(self._started.discard)
        else:
            self.wait(coroutine)

    def bring_back(self, away: Away, work: Work) -> None:
        """Give a connection back to its server; on the loop's thread."""
        away.come_back(work)
        asyncio.get_running_loop().call_later(INSIST_S, self._insist, away)

    def _insist(self, away: Away) -> None:
        if away.is_waiting and self._insisting is not None:
            self._insisting.submit(away.insist)

    def stop(self) -> None:
        """Cancel what still runs, give it time to end, and stop the loop. Called again, or without a loop: nothing."""
        if not self.is_running:
            return
        self._engine.unsubscribe("stop", self.stop)
        if self.owns_thread():
            # a page stops its own engine: it is to be answered first
            threading.Thread(target=self._shut_down, args=(LEAVE_S,), name="CP Event Loop Stop").start()
        else:
            self._shut_down(0.0)

    def _shut_down(self, leave_s: float) -> None:
        with self._lock:
            loop, self._loop = self._loop, None
            thread = self._thread
        if loop is None or thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(self._end_tasks(leave_s), loop)
        try:
            ending.result(leave_s + CANCEL_S + 1)
        except Exception:
            log.exception("the event loop did not end in good order")
        loop.call_soon_threadsafe(loop.stop)
        thread.join(1)
        for executor in (self._insisting, self._executor):
            if executor is not None:
                executor.shutdown(wait=False)

    async def _end_tasks(self, leave_s: float) -> None:
        exchanges = set(self._exchanges)
        if leave_s and exchanges:
            await asyncio.wait(exchanges, timeout=leave_s)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=CANCEL_S)
            for task in late:
                log.error("a task does not end although it was cancelled task=%r", task)
        await asyncio.get_running_loop().shutdown_asyncgens()
        # what comes back now finds no server: it has to insist
        await asyncio.sleep(INSIST_S)


def _in_task(awaitable: Any, state: dict[str, Any]) -> Coroutine[Any, Any, Any]:
    async def run() -> Any:
        return await start_carried(asyncio.get_running_loop(), awaitable, state)

    return run()


runner = Runner(bus)
