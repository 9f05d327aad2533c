"""Marks that make objects reachable by a URL."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from cherrypy.context import serving

Alias = str | list[str] | tuple[str, ...]


def expose(func: Any = None, alias: Alias | None = None) -> Any:
    """Make *func* (a function, method or class) a page; optionally under further names too.

    Forms: ``@expose``, ``@expose()``, ``@expose('alias')``, ``@expose(['a', 'b'])``, ``@expose(alias=...)``,
    ``expose(func, 'alias')``. An alias is stored beside the function, in the class body that is being executed;
    '.' in it becomes '_'.
    """
    names = sys._getframe(1).f_locals

    def mark(page: Any) -> Any:
        page.exposed = True
        for name in _aliases(alias):
            names[name.replace(".", "_")] = page
        return page

    if func is None:
        return mark
    if isinstance(func, str | list | tuple):
        alias = func
        return mark
    return mark(func)


def _aliases(alias: Alias | None) -> tuple[str, ...] | list[str]:
    if alias is None:
        return ()
    return (alias,) if isinstance(alias, str) else alias


def popargs(*args: str, **kwargs: Any) -> Callable[[Any], Any]:
    """Take path segments as parameters of the pages below.

    As a class decorator it gives the class a ``_cp_dispatch``; it may also be assigned to that name::

        @popargs('year', 'month')          # /2024/05/list -> list(year='2024', month='05')
        class Blog: ...

    Keyword *handler*: the object that goes on. If it is callable it is called with the popped parameters and its result
    goes on; otherwise, and without *handler*, the parameters go to ``request.params``.

    Raises:
        TypeError: a keyword other than *handler*.
    """
    handler = kwargs.pop("handler", None)
    if kwargs:
        raise TypeError(f"popargs() takes only the keyword 'handler', not {sorted(kwargs)!r}")
    calls_handler = handler is not None and (callable(handler) or inspect.isclass(handler))

    def decorated(target: Any = None, vpath: list[str] | None = None) -> Any:
        if inspect.isclass(target):
            target._cp_dispatch = decorated  # type: ignore[attr-defined]
            return target
        # Used as a dispatch method: bound to its class (target is the instance) or assigned as it is.
        remaining = vpath if vpath is not None else []
        popped = {name: remaining.pop(0) for name in args if remaining}
        if calls_handler:
            return handler(**popped)
        serving.request.params.update(popped)
        if handler is not None:
            return handler
        if remaining:
            return getattr(target, remaining.pop(0), None)
        return target

    return decorated
