"""A page's result that is still to come, and how a request goes on once it is there.

``async def`` pages return one. On its way to ``response.body`` it leaves the request as an exception, so that the
thread can go on with other requests; ``resume`` takes the request up where it was left, in whichever thread.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from cherrypy.context import serving
from cherrypy.core.logs import log


class Later(BaseException):
    """What a page returns whose result is still to come.

    Handlers around the page pass it on, and say what they would have done with the result by ``then``.

    Args:
        awaitable: gives the result.
        inside: coroutines that it awaits, or another ``Later`` whose place this one takes.
    """

    def __init__(self, awaitable: Any, inside: Any = None) -> None:
        super().__init__()
        self.awaitable = awaitable
        self._inside = inside
        self._steps: list[Callable[[Any], Any]] = []

    def then(self, step: Callable[[Any], Any]) -> Later:
        """Have *step* make the next result of the last one; it runs where the request goes on."""
        self._steps.append(step)
        return self

    def close(self) -> None:
        """Nobody is going to await what has not begun yet."""
        for one in (self.awaitable, self._inside):
            if isinstance(one, Later) or (
                inspect.iscoroutine(one) and inspect.getcoroutinestate(one) == inspect.CORO_CREATED
            ):
                one.close()

    def finish(self, result: Any) -> Any:
        """Return what the handlers around the page make of its *result*."""
        for step in self._steps:
            result = step(result)
        return result


def _no_loop(coroutine: Any) -> Any:
    raise RuntimeError("No event loop is wired; import cherrypy, not its parts.")


#: Waits for a coroutine in the current thread; set once, by the wiring.
waiter: list[Callable[[Any], Any]] = [_no_loop]


def waiting(function: Any) -> Any:
    """Return what calls *function* and waits for its end if it is a coroutine function, else *function* itself."""
    code = getattr(function, "__code__", None)
    if code is not None and not code.co_flags & inspect.CO_COROUTINE:
        return function  # PERF: 0.1 us for nearly all of them
    call = getattr(type(function), "__call__", None)  # noqa: B004 (what it is, not whether there is one)
    if not inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(call):
        return function

    @functools.wraps(function)
    def wait(*args: Any, **kwargs: Any) -> Any:
        return waiter[0](function(*args, **kwargs))

    return wait


class Abandoned(BaseException):
    """Nobody waits for the result any more: the request ends without an answer."""


def resume(request: Any, outcome: Callable[[], Any]) -> Any:
    """Go on behind the page, like ``Request.run``; returns the finished response.

    Args:
        request: the current one of this thread, which ``run`` has left by ``Later``.
        outcome: returns what the page came to, or raises its error.
    """
    response = serving.response

    def go_on(path_info: str) -> None:
        request.stage = "handler"
        response.body = outcome()
        request.stage = "before_finalize"
        request._run_hooks("before_finalize")
        request.stage = "finalize"
        response.finalize()

    request._do_respond = go_on
    try:
        request.respond(request.path_info)
    except request.throws:
        response.abandon()
        raise
    except Exception:
        if request.throw_errors:
            raise
        response = request._recover(response)
    if request.method == "HEAD":
        response.abandon()
    try:
        request.app.log.access()
    except Exception:
        log.error(traceback=True)
    return response


def is_understood(handler: Any) -> bool:
    """True if *handler* and all handlers inside it, down to the page, pass a ``Later`` on.

    Those say so by a method ``inner_handler``, which returns the next one inside, None in the page's own. A subclass
    that has another ``__call__`` may expect the result itself. One with a true ``only_formats`` can be left out where
    there is no result.
    """
    while handler is not None:
        find_inner = getattr(handler, "inner_handler", None)
        if find_inner is None:
            return False
        kind = type(handler)
        if "inner_handler" not in getattr(handler, "__dict__", ()) and _owner(kind, "__call__") is not _owner(
            kind, "inner_handler"
        ):
            return False
        handler = find_inner()
    return True


def _owner(kind: type, name: str) -> type | None:
    return next((one for one in kind.__mro__ if name in one.__dict__), None)
