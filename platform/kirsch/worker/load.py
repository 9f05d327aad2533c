"""From an entry ("shop.web:Root") to something that can be mounted: what it names, and of which kind that is.

========================================================  ==================================================
what the entry names                                      what becomes of it
========================================================  ==================================================
``cherrypy.Application``                                  mounted as it is
``cherrypy.tree``                                         nothing: the module has mounted its applications itself
class with exposed handlers                               made, and mounted as a CherryPy root
object with exposed handlers                              mounted as a CherryPy root
callable of (environ, start_response)                     grafted as a WSGI application
coroutine function, or object called as one, of           grafted as an ASGI application
(scope, receive, send)
callable without arguments, or written with "()"          called; what it returns is looked at again
anything else                                             refused, with this table in a sentence
========================================================  ==================================================
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cherrypy
from kirsch.errors import SuperviseError
from kirsch.spec import App

Kind = Literal["application", "root", "wsgi", "asgi", "mounted"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An application of the release, ready to be mounted."""

    app: App
    kind: Kind
    target: Any


def load_app(app: App, release_dir: str) -> Loaded:
    """Import what the entry of *app* names and find out what it is.

    The app's folder goes to the front of ``sys.path`` and becomes the working directory.

    Raises:
        SuperviseError: the entry names nothing, or nothing that can be mounted.
        BaseException: whatever the application's own code raises.
    """
    folder = os.path.normpath(os.path.join(release_dir, app.directory or "."))
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    os.chdir(folder)
    named, is_called = resolve(app.entry)
    target = named() if is_called else named
    kind = classify(target)
    if kind is None and callable(target) and not is_called:
        target = target()
        kind = classify(target)
    if kind is None:
        raise SuperviseError(
            f"app {app.name}: {app.entry} is {_describe(target)}; allowed: a class or object with exposed handlers, a "
            "cherrypy.Application, a WSGI or ASGI callable, or a factory without arguments that returns one of them"
        )
    if kind == "root" and isinstance(target, type):
        target = target()
    return Loaded(app, kind, target)


def resolve(entry: str) -> tuple[Any, bool]:
    """Return what ``package.module:name.of.object`` names, and whether it is written as a call, with ``()``.

    Raises:
        SuperviseError: the module has no such name; the nearest ones are told.
        ImportError: there is no such module.
    """
    is_called = entry.endswith("()")
    module_name, _, path = entry.removesuffix("()").partition(":")
    found: Any = importlib.import_module(module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            public = ", ".join(sorted(word for word in vars(found) if not word.startswith("_"))[:20])
            raise SuperviseError(f"{entry}: {_describe(found)} has no {name!r}; it has: {public}") from error
    return found, is_called


def classify(target: Any) -> Kind | None:
    """Say what *target* is by the table above; None when it is nothing yet (a factory), or nothing at all."""
    if target is cherrypy.tree:
        return "mounted"
    if isinstance(target, cherrypy.Application):
        return "application"
    if has_handlers(target):
        return "root"
    if not callable(target):
        return None
    if not isinstance(target, type) and _is_coroutine(target) and _takes(target, 3):
        return "asgi"
    return "wsgi" if _takes(target, 2) else None


def _is_coroutine(target: Any) -> bool:
    call = getattr(type(target), "__call__", None)  # noqa: B004 (what it is, not whether there is one)
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(call)


def has_handlers(target: Any) -> bool:
    """True for a class or object that CherryPy would find a page in: it, or something on it, is exposed."""
    if _is_exposed(target):
        return True
    owner = target if isinstance(target, type) else type(target)
    if hasattr(owner, "_cp_dispatch"):
        return True
    found: list[Any] = [value for base in owner.__mro__ if base is not object for value in vars(base).values()]
    if not isinstance(target, type):
        found += list(getattr(target, "__dict__", {}).values())
    return any(_is_exposed(value) for value in found)


def _is_exposed(value: Any) -> bool:
    # Statically: an attribute may be a property that connects to a database, or a proxy that raises.
    return inspect.getattr_static(value, "exposed", False) is True


def _takes(target: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(target).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:
        return True  # written in C: it does not say, and a factory would be written in Python
    return True


def _describe(value: Any) -> str:
    if inspect.ismodule(value):
        return f"module {value.__name__}"
    if isinstance(value, type) or inspect.isroutine(value):
        return f"{'class' if isinstance(value, type) else 'function'} {value.__qualname__}"
    return f"an object of class {type(value).__qualname__}"
