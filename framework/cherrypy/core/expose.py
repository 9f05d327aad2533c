"""Marks that make objects reachable by a URL."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar, overload

from cherrypy.context import serving

Alias = str | Iterable[str]
Page = TypeVar("Page", bound=Callable[..., Any])
Node = TypeVar("Node")


@overload
def expose(func: Page, alias: Alias | None = None) -> Page: ...


@overload
def expose(func: Alias | None = None, alias: Alias | None = None) -> Callable[[Page], Page]: ...


def expose(func: Any = None, alias: Alias | None = None) -> Any:
    """Make *func* (a function, method, class or other callable) a page; optionally under further names too.

    Forms: ``@expose``, ``@expose()``, ``@expose('alias')``, ``@expose(['a', 'b'])``, ``@expose(alias=...)``,
    ``expose(func, 'alias')``. An alias is stored beside the function, in the class body that is being executed;
    '.' in it becomes '_'.

    Raises:
        TypeError: *func* cannot be marked: a property, a built-in function, a bound method.
    """
    names = sys._getframe(1).f_locals

    def mark(page: Any) -> Any:
        _mark(page)
        for name in _aliases(alias):
            names[name.replace(".", "_")] = page
        return page

    if func is None:
        return mark
    if isinstance(func, str) or (isinstance(func, Iterable) and not callable(func)):
        alias = func
        return mark
    return mark(func)


def _mark(page: Any) -> None:
    try:
        page.exposed = True
        if isinstance(page, staticmethod | classmethod):
            # what an instance gives out is the function inside
            _mark(page.__func__)
    except AttributeError as error:
        raise TypeError(
            f"expose() cannot mark {page!r}. It takes functions, classes and objects with attributes; of a method "
            "expose the function in its class."
        ) from error


def _aliases(alias: Alias | None) -> Iterable[str]:
    if alias is None:
        return ()
    return (alias,) if isinstance(alias, str) else alias


class PathTaker(Protocol):
    """What ``popargs`` returns: a class decorator, and a value for ``_cp_dispatch``."""

    @overload
    def __call__(self, target: type[Node]) -> type[Node]: ...

    @overload
    def __call__(self, target: object = None, vpath: list[str] | None = None) -> Any: ...


def popargs(*args: str, **kwargs: Any) -> PathTaker:
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
        raise TypeError(f"cherrypy.popargs() takes only the keyword 'handler', not {sorted(kwargs)!r}")
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
