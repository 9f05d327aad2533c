"""The handlers of the global namespaces: ``server.*``, ``engine.*``, ``tree.*``, ``log.*``, ``checker.*``.

A key sets the attribute of that name. An unknown name still lands, as it does in CherryPy; but it is said once, with
the nearest name that is known, because a typo in a key is otherwise a setting that never takes effect.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable
from typing import Any

Handler = Callable[[str, Any], None]

# Where the four signals' worth of keys go: engine.SIGHUP = listener
SIGNAL_KEYS = ("SIGHUP", "SIGTERM")

_warned: set[str] = set()


class UnknownKeyWarning(UserWarning):
    """A configuration key that nothing reads."""


def warn_unknown(namespace: str, name: str, known: Iterable[str]) -> None:
    """Say once per process that *namespace*.*name* is not known, and what may have been meant."""
    key = f"{namespace}.{name}"
    if key in _warned:
        return
    _warned.add(key)
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {namespace}.{near[0]!s}?" if near else ""
    warnings.warn(f"Unknown configuration key {key!r}{hint}", UnknownKeyWarning, stacklevel=2)


def names_of(target: object) -> list[str]:
    """The public attributes of *target*, those that a key may set."""
    return [name for name in dir(target) if not name.startswith("_")]


def plugin_switches(engine: object) -> list[str]:
    """The keys 'PLUGIN.on' of the plugins that *engine* has."""
    return [f"{name}.on" for name in names_of(engine) if hasattr(getattr(engine, name, None), "unsubscribe")]


def set_attribute(namespace: str, target: object, name: str, value: Any) -> None:
    """Set an attribute, warning once if *target* had none of that name."""
    if not name.startswith("_") and not hasattr(target, name):
        warn_unknown(namespace, name, names_of(target))
    setattr(target, name, value)


def attribute_namespace(namespace: str, target: Callable[[], object]) -> Handler:
    """A handler that sets attributes of what *target* returns at that moment."""

    def handle(name: str, value: Any) -> None:
        set_attribute(namespace, target(), name, value)

    return handle


def engine_namespace(engine: Any) -> Handler:
    """``engine.PLUGIN.on``, ``engine.PLUGIN.ATTRIBUTE``, ``engine.SIGHUP``, ``engine.ATTRIBUTE``."""

    def handle(name: str, value: Any) -> None:
        plugin_name, dot, attribute = name.partition(".")
        if name in SIGNAL_KEYS:
            _handle_signal(engine, name, value)
        elif not dot:
            if not hasattr(engine, name):
                warn_unknown("engine", name, [*names_of(engine), *plugin_switches(engine)])
            setattr(engine, name, value)
        elif not hasattr(engine, plugin_name):
            warn_unknown("engine", name, plugin_switches(engine))
        elif attribute == "on":
            switch(getattr(engine, plugin_name), value)
        else:
            set_attribute(f"engine.{plugin_name}", getattr(engine, plugin_name), attribute, value)

    return handle


def _handle_signal(engine: Any, signal_name: str, listener: Callable[[], object] | None) -> None:
    if listener is not None:
        engine.subscribe(signal_name, listener)
        return
    handler = getattr(engine, "signal_handler", None)
    if handler is not None:
        handler.handlers.pop(signal_name, None)


def switch(plugin: Any, is_on: Any) -> None:
    """Subscribe or unsubscribe *plugin*; what cannot be subscribed is left alone."""
    method = getattr(plugin, "subscribe" if is_on else "unsubscribe", None)
    if callable(method):
        method()


def server_namespace(
    default: Callable[[], Any], named: Callable[[], dict[str, Any]], make_server: Callable[[], Any]
) -> Handler:
    """``server.KEY`` for the default server, ``server.NAME.KEY`` for further ones, made at their first key.

    ``server.on`` and ``server.NAME.on`` say whether the server starts with the site.

    Args:
        default: returns ``cherrypy.server``.
        named: returns ``cherrypy.servers``, making it known at the first call.
        make_server: makes a server that is not subscribed yet.
    """

    def handle(name: str, value: Any) -> None:
        server_name, dot, key = name.partition(".")
        if not dot:
            if name == "on":
                switch(default(), value)
            else:
                set_attribute("server", default(), name, value)
            return
        servers = named()
        if server_name not in servers:
            made = servers[server_name] = make_server()
            # for its messages
            made._namespace = f"server.{server_name}"
            made.subscribe()
        if key == "on":
            switch(servers[server_name], value)
        else:
            set_attribute(f"server.{server_name}", servers[server_name], key, value)

    return handle


def tree_namespace(tree: Callable[[], Any], log: Callable[[str], object]) -> Handler:
    """``tree.NAME`` = a WSGI application or ``Application``, or {script_name: one}."""

    def handle(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for script_name, app in value.items():
                tree().graft(app, script_name)
                log(f"Mounted: {app} on {script_name or '/'}")
            return
        script_name = getattr(value, "script_name", None)
        if not callable(value) or not isinstance(script_name, str):
            raise TypeError(
                f"tree.{name} is {value!r}; allowed: an Application, or {{script_name: WSGI callable}} for others"
            )
        tree().graft(value, script_name)
        log(f"Mounted: {value} on {script_name or '/'}")

    return handle
