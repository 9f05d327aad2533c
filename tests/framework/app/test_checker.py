"""The checker: each warning, and silence for what is right."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.app.checker import Checker


class Root:
    """Nothing to see."""

    @cherrypy.expose
    def index(self) -> str:
        return ""


@pytest.fixture
def said(site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that mounts with a configuration and returns what the checker says."""
    monkeypatch.setattr(Checker, "current_tree", staticmethod(lambda: site.tree))

    def check(config: Any, script_name: str = "") -> list[str]:
        site.mount(Root(), script_name, config)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Checker()()
        return [str(one.message) for one in caught]

    return check


def test_silence(said: Any, tmp_path: Path) -> None:
    """A right configuration has nothing to say for it."""
    config = {
        "/": {"tools.gzip.on": True, "request.show_tracebacks": False, "error_page.404": "x"},
        "/static": {"tools.staticdir.on": True, "tools.staticdir.dir": str(tmp_path)},
        "Databases": {"driver": "postgres", "whatever.key": 1},
    }

    assert said(config) == []


@pytest.mark.parametrize(
    ("config", "script_name", "expected"),
    [
        ({"/app/x": {}}, "/app", "begin below the mount point"),
        ({"/": {"server.socket_port": 1}}, "", "settings of the whole site"),
        ({"[/]": {"tools.gzip.on": True}}, "", "brackets"),
        ({"/": {"tool.gzip.on": True}}, "", "namespace of 'tool.gzip.on'"),
        ({"/": {"tools.gzipp.on": True}}, "", "tool of 'tools.gzipp.on'"),
        ({"/": {"log_to_screen": True}}, "", "'log_to_screen' in section [/] is obsolete. Use 'log.screen'."),
        ({"/": {"request.show_tracebacks": "yes"}}, "", "of type str; bool is expected"),
        ({"/": {"tools.staticdir.on": True}}, "", "dir is not set"),
        ({"/": {"tools.staticdir.on": True, "tools.staticdir.dir": "x"}}, "", "no tools.staticdir.root"),
        ({"/": {"tools.staticdir.on": True, "tools.staticdir.dir": "/no/such"}}, "", "does not exist"),
    ],
)
def test_warnings(said: Any, config: Any, script_name: str, expected: str) -> None:
    """One for each mistake."""
    assert any(expected in one for one in said(config, script_name))


def test_it_can_be_turned_off(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a whole, and check by check."""
    monkeypatch.setattr(Checker, "check_config_namespaces", False)

    assert said({"/": {"nothing.on": True}}) == []
