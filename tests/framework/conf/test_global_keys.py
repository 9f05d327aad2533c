"""The keys of the site's configuration, through ``cherrypy.config`` itself."""

from __future__ import annotations

import io
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.app.server import Server
from cherrypy.conf import namespaces
from cherrypy.conf.namespaces import UnknownKeyWarning
from cherrypy.process.wspbus import Bus


@pytest.fixture(autouse=True)
def put_back(site: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what keys set: attributes, subscriptions, mounted applications, named servers."""
    listeners = {channel: set(found) for channel, found in cherrypy.engine.listeners.items()}
    kept = [
        (target, dict(vars(target)))
        for target in (cherrypy.server, cherrypy.engine.autoreload, cherrypy.checker, cherrypy.log)
    ]
    apps = dict(cherrypy.tree.apps)
    monkeypatch.setattr(namespaces, "_warned", set())
    yield
    for target, attributes in kept:
        vars(target).clear()
        vars(target).update(attributes)
    for channel, found in list(cherrypy.engine.listeners.items()):
        for listener in found - listeners.get(channel, set()):
            cherrypy.engine.unsubscribe(channel, listener)
        for listener in listeners.get(channel, set()) - found:
            cherrypy.engine.subscribe(channel, listener)
    cherrypy.tree.apps.clear()
    cherrypy.tree.apps.update(apps)
    if hasattr(cherrypy, "servers"):
        del cherrypy.servers


def is_subscribed(plugin: Any) -> bool:
    """Tell whether the plugin listens to the bus."""
    return any(
        getattr(listener, "__self__", None) is plugin
        for listeners in cherrypy.engine.listeners.values()
        for listener in listeners
    )


# server.*


def test_server_keys_set_the_server() -> None:
    """By an update, by an item, by a file."""
    cherrypy.config.update({"server.socket_port": 8081, "server.thread_pool": 3})
    cherrypy.config["server.socket_host"] = "0.0.0.0"
    cherrypy.config.update(io.StringIO("[global]\nserver.socket_timeout = 60 * 2\n"))

    server = cherrypy.server

    assert (server.socket_port, server.thread_pool, server.socket_host) == (8081, 3, "0.0.0.0")
    assert (server.socket_timeout, cherrypy.config["server.socket_timeout"]) == (120, 120)


def test_a_wrong_value_names_the_key_and_what_is_allowed() -> None:
    """At the update, long before the start."""
    with pytest.raises(ValueError, match=r"server\.socket_port is 'http'.*a TCP port from 0"):
        cherrypy.config.update({"server.socket_port": "http"})


def test_the_server_can_be_left_out_of_the_site() -> None:
    """``server.on``: for a site that another server runs."""
    assert is_subscribed(cherrypy.server)

    cherrypy.config.update({"server.on": False})
    assert not is_subscribed(cherrypy.server)
    cherrypy.config.update({"server.on": True})

    assert is_subscribed(cherrypy.server)


def test_named_servers_are_made_by_their_first_key() -> None:
    """They appear in ``cherrypy.servers``, subscribed, with settings of their own."""
    assert not hasattr(cherrypy, "servers")

    cherrypy.config.update({"server.2.socket_port": 8082, "server.2.socket_host": "127.0.0.2", "server.tls.on": False})

    named = cherrypy.servers
    assert sorted(named) == ["2", "tls"]
    assert named["2"].bind_addr == ("127.0.0.2", 8082)
    assert (is_subscribed(named["2"]), is_subscribed(named["tls"])) == (True, False)
    assert cherrypy.server.socket_port == 8080
    with pytest.raises(ValueError, match=r"^server\.2\.thread_pool is 'x'"):
        cherrypy.config.update({"server.2.thread_pool": "x"})


def test_a_named_server_serves_the_site() -> None:
    """Beside the default one; switched off, the bus does not start it."""
    cherrypy.config.update({"server.2.socket_port": 0, "server.3.on": False})
    second: Any = cherrypy.servers["2"]
    second.bus = Bus()
    second.start()
    try:
        with socket.create_connection(second.bound_addr, timeout=10) as client:
            client.sendall(b"GET /nothing-is-mounted HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

            assert client.recv(1000).startswith(b"HTTP/1.1 404")
    finally:
        second.stop()
    assert isinstance(second, Server)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("server.socket_prot", "server.socket_port"),
        ("server.2.thread_pol", "server.2.thread_pool"),
        ("engine.autoreload_on", "engine.autoreload.on"),
        ("engine.autorelaod.on", "engine.autoreload.on"),
        ("engine.autoreload.freqency", "engine.autoreload.frequency"),
        ("log.scren", "log.screen"),
        ("checker.chek_localhost", "checker.check_localhost"),
    ],
)
def test_an_unknown_key_is_said_once_with_the_nearest_known(key: str, hint: str) -> None:
    """A typo is a setting that never takes effect."""
    with pytest.warns(UnknownKeyWarning) as said:
        cherrypy.config.update({key: 5})

    assert str(said[0].message) == f"Unknown configuration key {key!r}; did you mean {hint}?"
    assert cherrypy.config[key] == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cherrypy.config.update({key: 6})


def test_unknown_keys_land_where_they_were_aimed() -> None:
    """COMPAT: applications keep settings of their own there."""
    with pytest.warns(UnknownKeyWarning):
        cherrypy.config.update({"server.mine": 1, "log.rot_size": 2, "checker.mine": 3, "engine.autoreload.mine": 4})

    found = (cherrypy.server.mine, cherrypy.log.rot_size, cherrypy.checker.mine, cherrypy.engine.autoreload.mine)

    assert found == (1, 2, 3, 4)


def test_keys_of_no_namespace_are_free() -> None:
    """Without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cherrypy.config.update({"my.setting": 1, "plain": 2})

    assert (cherrypy.config["my.setting"], cherrypy.config["plain"]) == (1, 2)


# engine.*


def test_plugins_are_switched_on_and_off() -> None:
    """By ``engine.PLUGIN.on``."""
    assert is_subscribed(cherrypy.engine.autoreload)

    cherrypy.config.update({"engine.autoreload.on": False})
    assert not is_subscribed(cherrypy.engine.autoreload)
    cherrypy.config.update({"engine.autoreload.on": True})

    assert is_subscribed(cherrypy.engine.autoreload)


def test_settings_of_the_autoreloader() -> None:
    """frequency, match, files."""
    cherrypy.config.update(
        {"engine.autoreload.frequency": 7, "engine.autoreload.match": "^x", "engine.autoreload.files": {"a.conf"}}
    )

    reloader = cherrypy.engine.autoreload

    assert (reloader.frequency, reloader.match, reloader.files) == (7, "^x", {"a.conf"})


def test_a_listener_for_a_signal_channel() -> None:
    """``engine.SIGHUP`` and ``engine.SIGTERM`` subscribe theirs."""

    def listen() -> None:
        pass

    cherrypy.config.update({"engine.SIGHUP": listen, "engine.SIGTERM": listen})

    assert listen in cherrypy.engine.listeners["SIGHUP"]
    assert listen in cherrypy.engine.listeners["SIGTERM"]


# tree.*, log.*, checker.*


def test_applications_are_mounted_by_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """``tree.NAME``: an Application at its own place, or {script_name: WSGI callable}; the log says so."""
    said: list[str] = []
    cherrypy.log.error_log.addFilter(lambda record: said.append(record.getMessage()) is not None)
    app = cherrypy.Application(None, "/app")
    try:
        cherrypy.config.update({"tree.app": app, "tree.others": {"/a": print, "": len}})
    finally:
        cherrypy.log.error_log.filters.clear()

    assert {name: cherrypy.tree.apps[name] for name in ("/app", "/a", "")} == {"/app": app, "/a": print, "": len}
    assert said[0].endswith(f"Mounted: {app} on /app")
    assert said[2].endswith(f"Mounted: {len} on /")


def test_a_tree_key_without_an_application_says_what_is_allowed() -> None:
    """With its name."""
    with pytest.raises(TypeError, match=r"tree\.shop is 5; allowed: an Application, or \{script_name: WSGI callable\}"):
        cherrypy.config.update({"tree.shop": 5})


def test_log_keys(tmp_path: Path) -> None:
    """screen, error_file, access_file, wsgi."""
    files = {"log.error_file": str(tmp_path / "error.log"), "log.access_file": str(tmp_path / "access.log")}

    cherrypy.config.update({"log.screen": True, "log.wsgi": True, **files})
    log = cherrypy.log
    set_to = (log.screen, log.wsgi, log.error_file, log.access_file)
    cherrypy.config.update({"log.screen": False, "log.wsgi": False, "log.error_file": "", "log.access_file": ""})

    assert set_to == (True, True, *files.values())
    assert (log.screen, log.wsgi, log.error_file, log.access_file) == (False, False, "", "")


def test_checker_keys() -> None:
    """As a whole, and check by check."""
    cherrypy.config.update({"checker.on": False, "checker.check_localhost": False})

    assert (cherrypy.checker.on, cherrypy.checker.check_localhost) == (False, False)


def test_an_environment_takes_effect_through_the_namespaces() -> None:
    """Except for keys that are given."""
    cherrypy.config.update({"environment": "production", "log.screen": True})

    assert not is_subscribed(cherrypy.engine.autoreload)
    assert (cherrypy.checker.on, cherrypy.log.screen) == (False, True)
    assert cherrypy.config["request.show_tracebacks"] is False


def test_a_config_file_is_watched(tmp_path: Path) -> None:
    """The site's and an application's: a change of either restarts."""
    names = [str(tmp_path / name) for name in ("site.conf", "app.conf")]
    for name in names:
        Path(name).write_text("[/]\na.b = 1\n")

    cherrypy.config.update(names[0])
    cherrypy.Application(None).merge(names[1])

    assert set(names) <= cherrypy.engine.autoreload.files
