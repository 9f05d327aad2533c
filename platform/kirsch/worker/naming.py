"""What a page is called: where it hangs in its application, and where it is written.

Names are attributes from the application's root, as the dispatcher goes: ``Root.users.show``. There are as many as
there are pages in the code, however many paths clients ask for.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Hashable, Iterator
from types import CodeType
from typing import Any

import cherrypy
from kirsch.scoreboard import NOBODY, Handler

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OTHER_METHOD = "other"
#: How deep, and at how many objects, an application is looked through for a page.
DEPTH_LIMIT = 6
LOOK_LIMIT = 5000

_apps: dict[str, str] = {}
"""Names of the worker's apps by their script names."""


def know_apps(apps: dict[str, str]) -> None:
    """Take the names that apps have in the stack, by where they are mounted (``""`` for the root)."""
    _apps.clear()
    _apps.update(apps)


def find_page(key: Hashable, method: str) -> Handler:
    """Return what to call the page that the framework announces with *key*, asked by *method*.

    A page that hangs in several places, as one of a class that is mounted twice, has its name in the code instead:
    ``Users.show``. What the framework answers by itself is nobody's: an unknown path, a file.
    """
    if isinstance(key, type) and key.__module__.startswith("cherrypy."):
        return NOBODY._replace(method=method)
    code = name_code(key)
    if not isinstance(key, CodeType):
        return Handler("", code, method, code)
    found = _places(key)
    apps = {app for app, _ in found}
    names = {name for _, name in found}
    app = apps.pop() if len(apps) == 1 else "(several)" if apps else ""
    return Handler(app, names.pop() if len(names) == 1 else key.co_qualname, method, code)


def name_code(key: Hashable) -> str:
    """Say where a page is written: ``shop/web.py: Shop.cart``; of anything else than a code object, its class."""
    if isinstance(key, CodeType):
        return f"{'/'.join(key.co_filename.split(os.sep)[-2:])}: {key.co_qualname}"
    return key.__qualname__ if isinstance(key, type) else type(key).__qualname__


def _places(code: CodeType) -> set[tuple[str, str]]:
    """Return where a page hangs: apps and the ways to it."""
    found = set()
    for script_name, application in tuple(cherrypy.tree.apps.items()):
        root = getattr(application, "root", None)
        if root is not None:
            app = _apps.get(script_name, script_name or "/")
            found |= {(app, name) for name in _search(root, code)}
    return found


def _search(root: Any, code: CodeType) -> Iterator[str]:
    """Yield the ways from *root* to pages with that code; nothing is called, properties included."""
    pending = [(root, type(root).__name__ if not isinstance(root, type) else root.__name__, 0)]
    seen: set[int] = set()
    while pending and len(seen) < LOOK_LIMIT:
        owner, way, depth = pending.pop()
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        if _code_of(owner) is code or _code_of(inspect.getattr_static(type(owner), "__call__", None)) is code:
            yield way
        if (
            depth == DEPTH_LIMIT
            or inspect.isroutine(owner)
            or isinstance(owner, type | str | bytes | int | dict | list)
        ):
            continue
        for name, value in _attributes(owner).items():
            if _code_of(value) is code:
                yield f"{way}.{name}"
            elif not name.startswith("__") and hasattr(type(value), "__dict__") and not inspect.isroutine(value):
                pending.append((value, f"{way}.{name}", depth + 1))


def _attributes(owner: Any) -> dict[str, Any]:
    """Return names and values as they stand in an object and its classes."""
    found: dict[str, Any] = {}
    for base in reversed(type(owner).__mro__):
        if base is not object:
            found |= vars(base)
    found |= getattr(owner, "__dict__", {})
    return found


def _code_of(value: Any) -> CodeType | None:
    value = getattr(value, "__func__", value) if inspect.ismethod(value) else value
    value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
    return value.__code__ if inspect.isfunction(value) else None
