"""Health checks: what an application says of the things that it cannot do without.

    @cherrypy.health("db", timeout_s=0.5, critical=True)
    def database():
        with pool.connection() as connection:
            connection.execute("SELECT 1")

A check passes when it returns, and fails when it raises, returns False, or takes longer than its time. It never runs in
a request's way: each has a thread of its own, and readers get what it said last. Nothing runs before ``start``: the
platform's workers do that, and an application that is alone by ``cherrypy.health.subscribe()``.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[[], Any])

#: Of what a check says, or raises, so much is kept.
MESSAGE_CHARS = 200


class NoNews(Exception):
    """Raised by a check that cannot tell now: what it said before holds."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a check stands."""

    name: str
    state: str
    """``passing``, ``failing``, or ``pending`` before its first answer."""
    critical: bool
    duration_s: float = 0.0
    """How long it took last, or is taking."""
    changed: float = 0.0
    """Unix time since which it is in this state."""
    message: str = ""


class Check:
    """One check, and what it said last.

    Args:
        name: under which it is shown.
        function: asked without arguments; may be a coroutine function.
        timeout_s: seconds that it may take.
        critical: whether requests should go elsewhere while it fails.
        interval_s: seconds from one answer to the next question.
    """

    def __init__(
        self, name: str, function: Callable[[], Any], timeout_s: float, critical: bool, interval_s: float
    ) -> None:
        if not name or timeout_s <= 0 or interval_s <= 0:
            raise ValueError(f"a check has a name, and times over 0: {name!r}, {timeout_s!r}, {interval_s!r}")
        self.name = name
        self.critical = critical
        self.timeout_s = timeout_s
        self.interval_s = interval_s
        self._function = function
        self._lock = threading.Lock()
        self._state = "pending"
        self._message = ""
        self._duration_s = 0.0
        self._changed = time.time()
        self._asked: float | None = None
        """``time.monotonic()`` of the question that has no answer yet."""

    def result(self) -> Result:
        """Return how it stands now: one that does not answer in time fails while it is still out."""
        with self._lock:
            if self._asked is not None and (took_s := time.monotonic() - self._asked) > self.timeout_s:
                self._enter("failing", f"no answer in {self.timeout_s:g} s", took_s)
            return Result(self.name, self._state, self.critical, self._duration_s, self._changed, self._message)

    def ask(self) -> None:
        """Run it once, in the calling thread."""
        with self._lock:
            asked = self._asked = time.monotonic()
        try:
            said = self._function()
            if inspect.isawaitable(said):
                said = asyncio.run(_wait_for(said))
            state = "failing" if said is False else "passing"
            message = said if isinstance(said, str) else ""
        except NoNews:
            with self._lock:
                self._asked = None
            return
        except BaseException as error:  # a wall: whatever a check does, its thread goes on
            state, message = "failing", f"{type(error).__name__}: {error}".strip()
        with self._lock:
            took_s = time.monotonic() - asked
            if state == "passing" and took_s > self.timeout_s:
                state, message = "failing", f"took {took_s:.1f} s, longer than {self.timeout_s:g} s"
            self._asked = None
            self._enter(state, message, took_s)

    def _enter(self, state: str, message: str, took_s: float) -> None:
        if state != self._state:
            self._state, self._changed = state, time.time()
        self._message = message.partition("\n")[0][:MESSAGE_CHARS]
        self._duration_s = took_s


class Checks:
    """``cherrypy.health``: the checks of this process.

    Args:
        bus: the engine; only for ``subscribe``.
    """

    def __init__(self, bus: Any = None) -> None:
        self._bus = bus
        self._checks: dict[str, Check] = {}
        self._over: threading.Event | None = None
        self._lock = threading.Lock()

    def __call__(
        self, name: str, *, timeout_s: float = 1.0, critical: bool = False, interval_s: float = 5.0
    ) -> Callable[[Function], Function]:
        """Make the decorated function a check; it stays what it is.

        Args:
            name: unique in the process; another of that name gets its module behind it (``db@shop.stock``).
            timeout_s: seconds that it may take.
            critical: whether the worker should get no requests while it fails.
            interval_s: seconds from one answer to the next question.

        Raises:
            ValueError: the name is empty, or a time is not over 0.
        """

        def decorate(function: Function) -> Function:
            self.add(name, function, timeout_s=timeout_s, critical=critical, interval_s=interval_s)
            return function

        return decorate

    def add(
        self,
        name: str,
        function: Callable[[], Any],
        *,
        timeout_s: float = 1.0,
        critical: bool = False,
        interval_s: float = 5.0,
    ) -> Check:
        """Have *function* as a check; the same as the decorator.

        Raises:
            ValueError: the name is empty, or a time is not over 0.
        """
        with self._lock:
            if name in self._checks:
                name = f"{name}@{getattr(function, '__module__', len(self._checks))}"
            check = self._checks[name] = Check(name, function, timeout_s, critical, interval_s)
            if self._over is not None:
                _run(check, self._over)
            return check

    def remove(self, name: str) -> None:
        """Forget a check; a question that is out is not called back."""
        with self._lock:
            self._checks.pop(name, None)

    def results(self) -> tuple[Result, ...]:
        """Return how all checks stand, in the order in which they came."""
        return tuple(check.result() for check in tuple(self._checks.values()))

    def start(self) -> None:
        """Ask each check from now on, in a thread of its own."""
        with self._lock:
            if self._over is None:
                self._over = threading.Event()
                for check in self._checks.values():
                    _run(check, self._over)

    def stop(self) -> None:
        """Ask no longer; who is inside of a check is not waited for."""
        with self._lock:
            if self._over is not None:
                self._over.set()
                self._over = None

    def wait(self, timeout_s: float) -> bool:
        """Wait until every check has answered, or had its time; True if none is pending."""
        deadline = time.monotonic() + timeout_s
        while any(result.state == "pending" for result in self.results()):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def subscribe(self) -> None:
        """Start and stop with the engine: for an application that no platform runs."""
        self._bus.subscribe("start", self.start)
        self._bus.subscribe("stop", self.stop)

    def unsubscribe(self) -> None:
        """Start and stop with the engine no longer."""
        self._bus.unsubscribe("start", self.start)
        self._bus.unsubscribe("stop", self.stop)


def _run(check: Check, over: threading.Event) -> None:
    def repeat() -> None:
        while not over.is_set():
            check.ask()
            over.wait(check.interval_s)

    threading.Thread(target=repeat, name=f"health {check.name}", daemon=True).start()


async def _wait_for(said: Any) -> Any:
    return await said
