"""The handlers of the global namespaces."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from cherrypy.conf import namespaces
from cherrypy.conf.namespaces import (
    UnknownKeyWarning,
    attribute_namespace,
    engine_namespace,
    server_namespace,
    tree_namespace,
)


@pytest.fixture(autouse=True)
def fresh_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is the first to warn."""
    monkeypatch.setattr(namespaces, "_warned", set())


class Plugin:
    """A plugin that can be switched."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.frequency = 1

    def subscribe(self) -> None:
        self.calls.append("subscribe")

    def unsubscribe(self) -> None:
        self.calls.append("unsubscribe")


class Engine:
    """As much of a bus as the namespace touches."""

    def __init__(self) -> None:
        self.autoreload = Plugin()
        self.signal_handler = SimpleNamespace(handlers={"SIGTERM": print, "SIGHUP": print})
        self.execv = False
        self.subscribed: list[tuple[str, Any]] = []

    def subscribe(self, channel: str, callback: Any) -> None:
        self.subscribed.append((channel, callback))


def test_attributes_are_set() -> None:
    """Known ones without a word."""
    target = SimpleNamespace(screen=True)
    handle = attribute_namespace("log", lambda: target)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        handle("screen", False)

    assert target.screen is False


def test_an_unknown_key_lands_and_warns_once() -> None:
    """With the nearest name that is known."""
    target = SimpleNamespace(socket_port=8080)
    handle = attribute_namespace("server", lambda: target)

    with pytest.warns(UnknownKeyWarning, match=r"'server.socket_prot'; did you mean server.socket_port\?"):
        handle("socket_prot", 80)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        handle("socket_prot", 81)

    assert target.socket_prot == 81


def test_plugins_are_switched_and_set() -> None:
    """engine.autoreload.on, engine.autoreload.frequency, engine.execv."""
    engine = Engine()
    handle = engine_namespace(engine)

    handle("autoreload.on", True)
    handle("autoreload.on", False)
    handle("autoreload.frequency", 5)
    handle("execv", True)

    assert engine.autoreload.calls == ["subscribe", "unsubscribe"]
    assert engine.autoreload.frequency == 5
    assert engine.execv


@pytest.mark.parametrize("key", ["timeout_monitor.on", "timeout_monitor.frequency"])
def test_a_plugin_that_is_not_there_warns(key: str) -> None:
    """engine.timeout_monitor.on stands in many old files; nothing is made up for it."""
    engine = Engine()
    before = dict(vars(engine))

    with pytest.warns(UnknownKeyWarning, match=rf"^Unknown configuration key 'engine\.{key}'$") as said:
        engine_namespace(engine)(key, False)

    assert len(said) == 1
    assert vars(engine) == before
    assert (engine.autoreload.calls, engine.subscribed) == ([], [])


def test_signals_are_subscribed_or_left_alone() -> None:
    """None gives the signal up: it belongs to the server around us."""
    engine = Engine()
    handle = engine_namespace(engine)

    handle("SIGHUP", print)
    handle("SIGTERM", None)

    assert engine.subscribed == [("SIGHUP", print)]
    assert engine.signal_handler.handlers == {"SIGHUP": print}


class Server(Plugin):
    """A server with one setting."""

    socket_port = 8080


def test_servers_have_names() -> None:
    """Made and subscribed at their first key; `on` switches."""
    default = Server()
    named: dict[str, Any] = {}
    handle = server_namespace(lambda: default, lambda: named, Server)

    handle("socket_port", 1)
    handle("2.socket_port", 2)
    handle("2.on", False)

    assert default.socket_port == 1
    assert named["2"].socket_port == 2
    assert named["2"].calls == ["subscribe", "unsubscribe"]


def test_applications_are_grafted() -> None:
    """One at its own place, or several at given ones; both are said."""
    grafted: list[tuple[Any, str]] = []
    said: list[str] = []
    tree = SimpleNamespace(graft=lambda app, script_name: grafted.append((app, script_name)))
    handle = tree_namespace(lambda: tree, said.append)

    class Mounted:
        script_name = "/app"

        def __call__(self) -> None: ...

    app = Mounted()
    handle("app", app)
    handle("wsgi", {"/x": "A", "": "B"})

    assert grafted == [(app, "/app"), ("A", "/x"), ("B", "")]
    assert said[1:] == ["Mounted: A on /x", "Mounted: B on /"]
