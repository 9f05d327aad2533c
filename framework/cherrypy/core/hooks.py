"""Callbacks at the eight points of a request."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from cherrypy.core.errors import HTTPError, HTTPRedirect, InternalRedirect
from cherrypy.core.later import waiting
from cherrypy.core.logs import log

# In the order in which they are reached; the last two only when something unexpected went wrong.
hookpoints = [
    "on_start_resource",
    "before_request_body",
    "before_handler",
    "before_finalize",
    "on_end_resource",
    "on_end_request",
    "before_error_response",
    "after_error_response",
]

_ANSWERS = (HTTPError, HTTPRedirect, InternalRedirect)


@functools.total_ordering
class Hook:
    """A callback with its keyword arguments.

    Attributes:
        priority: lower runs earlier; default: the callback's own ``priority``, else 50.
        failsafe: True to run even if an earlier hook of the point failed; default: the callback's own, else False.
    """

    callback: Any = None
    failsafe: bool = False
    priority: int = 50
    kwargs: dict[str, Any] = {}

    def __init__(self, callback: Any, failsafe: bool | None = None, priority: int | None = None, **kwargs: Any) -> None:
        # SECURITY: a coroutine that nobody awaits would be a check that never runs
        self.callback = waiting(callback)
        self.failsafe = getattr(callback, "failsafe", False) if failsafe is None else failsafe
        self.priority = getattr(callback, "priority", 50) if priority is None else priority
        self.kwargs = kwargs

    def __lt__(self, other: Hook) -> bool:
        return self.priority < other.priority

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __call__(self) -> Any:
        """Run the callback."""
        return self.callback(**self.kwargs)

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.kwargs.items())
        return (
            f"{type(self).__module__}.{type(self).__name__}(callback={self.callback!r}, failsafe={self.failsafe!r}, "
            f"priority={self.priority!r}{arguments})"
        )


class HookMap(dict[str, list[Hook]]):
    """Lists of hooks by the name of their point: ``HookMap(points)``."""

    def __new__(cls, points: Iterable[str] | None = None) -> Self:
        """Make a map with an empty list for each of *points*."""
        new = dict.__new__(cls)
        for point in points or ():
            dict.__setitem__(new, point, [])
        return new

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def attach(
        self,
        point: str,
        callback: Callable[..., Any],
        failsafe: bool | None = None,
        priority: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a hook to *point*; it will be called with *kwargs*."""
        self[point].append(Hook(callback, failsafe, priority, **kwargs))

    def run(self, point: str) -> None:
        """Run the hooks of *point* in the order of their priorities."""
        self.run_hooks(sorted(self[point]))

    @classmethod
    def run_hooks(cls, hooks: Iterable[Hook]) -> None:
        """Run *hooks* in the given order; after a failure only the failsafe ones, then the failure goes on."""
        run_in_order(iter(hooks))

    def copy(self) -> Self:
        """Return a map with lists of its own."""
        new = self.__class__()
        for point, hooks in self.items():
            new[point] = hooks[:]
        return new

    __copy__ = copy

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}(points={list(self)!r})"


def run_in_order(hooks: Iterator[Hook]) -> None:
    """Run what is left of *hooks*. This is a wall: see ``HookMap.run_hooks``."""
    try:
        for hook in hooks:
            hook.callback(**hook.kwargs)
    except _ANSWERS:
        _run_failsafe(hooks)
        raise
    except Exception:
        log(traceback=True, severity=40)
        _run_failsafe(hooks)
        raise


def _run_failsafe(remaining: Iterator[Hook]) -> None:
    run_in_order(iter([hook for hook in remaining if hook.failsafe]))
