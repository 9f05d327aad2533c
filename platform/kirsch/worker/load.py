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
callable without arguments, or written as a call          called; what it returns is looked at again
``manage.py`` of a Django project                         the project's WSGI application (see ``django``)
anything else                                             refused, with this table in a sentence
========================================================  ==================================================
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cherrypy
from kirsch.errors import SuperviseError
from kirsch.link.cluster import Cluster
from kirsch.link.order import Order
from kirsch.spec import App
from kirsch.worker.django import finish_project, load_project
from kirsch.worker.isolation import may_stand_alone, report_broken
from kirsch.worker.surroundings import is_project, refuse_hidden, settle_process, surround
from kirsch.worker.voice import Teller

Kind = Literal["application", "root", "wsgi", "asgi", "mounted", "broken"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An application of the release, ready to be mounted."""

    app: App
    kind: Kind
    target: Any


@dataclass(frozen=True, slots=True)
class Preloaded:
    """What a worker that was forked from a template has already."""

    apps: list[Loaded]
    broken: dict[str, str]
    """Apps that failed at their import alone, with the reason."""
    cluster: Cluster
    """Its seat on the bus, not yet taken."""


def load_app(app: App, folder: str) -> Loaded:
    """Import what the entry of *app* names, from *folder*, and find out what it is.

    Raises:
        SuperviseError: the entry names nothing, or nothing that can be mounted.
        BaseException: whatever the application's own code raises.
    """
    if is_project(app):
        project = load_project(folder)
        finish_project(app)
        return Loaded(app, "wsgi", project)
    named, call = resolve(app, folder)
    target = named if call is None else call(named)
    kind = classify(target)
    if kind is None and callable(target) and call is None:
        target = target()
        kind = classify(target)
    if kind is None:
        raise SuperviseError(
            f"app {app.name}: {app.entry} is {_describe(target)}; allowed: a class or object with exposed handlers, a "
            "cherrypy.Application, a WSGI or ASGI callable, or a factory without arguments that returns one of them"
        )
    if kind == "root" and isinstance(target, type):
        target = target()
    finish_project(app)
    return Loaded(app, kind, target)


def load_all(order: Order, voice: Teller) -> list[Loaded]:
    """Load all apps of a worker, each in surroundings of its own; afterwards the process is as it stays.

    Raises:
        SuperviseError: an entry names nothing that can be mounted.
        BaseException: whatever an application's own code raises, unless it says ``isolate``.
    """
    loaded = []
    for app in order.apps:
        voice.at_step(f"import {app.entry}")
        try:
            with surround(app, order.apps, order.release_dir) as folder:
                loaded.append(load_app(app, folder))
        except BaseException as error:
            if not may_stand_alone(app, error):
                raise
            report_broken(app, error, voice)
            loaded.append(Loaded(app, "broken", None))
    settle_process(order.apps, order.release_dir)
    return loaded


def resolve(app: App, folder: str) -> tuple[Any, Callable[[Any], Any] | None]:
    """Return what the entry of *app* names (``package.module:name.of.object``), and how to call it if it says so.

    Raises:
        SuperviseError: the module has no such name (the nearest ones are told), or is hidden by another app's.
        ImportError: there is no such module.
    """
    name, call = split_call(app.entry)
    module_name, _, path = name.partition(":")
    refuse_hidden(app, module_name, folder)
    found: Any = importlib.import_module(module_name)
    for word in path.split("."):
        try:
            found = getattr(found, word)
        except AttributeError as error:
            public = ", ".join(sorted(word for word in vars(found) if not word.startswith("_"))[:20])
            raise SuperviseError(f"{name}: {_describe(found)} has no {word!r}; it has: {public}") from error
    return found, call


def split_call(entry: str) -> tuple[str, Callable[[Any], Any] | None]:
    """Return the name in an entry, and what to do with the object so named.

    ``"shop:make('prod', debug=False)"`` gives ``"shop:make"`` and a call with these arguments: literals, nothing that
    has to be looked up.

    Raises:
        SuperviseError: the arguments are no literals.
    """
    name, bracket, _ = entry.partition("(")
    if not bracket:
        return name, None
    try:
        node = ast.parse(f"_{entry[len(name) :]}", mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise ValueError(entry)
        args = [ast.literal_eval(arg) for arg in node.args]
        kwargs = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
        if "None" in kwargs:
            raise ValueError(entry)  # **mapping
    except (SyntaxError, ValueError) as error:
        raise SuperviseError(
            f'{entry}: the arguments of a factory are literals: "shop:make(1, debug=False)"'
        ) from error
    return name, lambda factory: factory(*args, **kwargs)


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
