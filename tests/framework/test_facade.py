"""The public names, and the old ones."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any
from unittest import mock

import pytest

import cherrypy
from cherrypy import _aliases

LATE = ("session", "_cache", "servers")


def test_everything_in_all_is_there() -> None:
    """And nothing else is promised."""
    assert all(hasattr(cherrypy, name) for name in cherrypy.__all__)


@pytest.mark.parametrize("name", sorted(_aliases._TABLE))
def test_old_modules_can_be_imported(name: str) -> None:
    """By import and as attribute."""
    module = importlib.import_module(f"cherrypy.{name}")

    assert getattr(cherrypy, name) is module


@pytest.mark.parametrize(
    "dotted",
    [
        "_cpcompat.ntob",
        "_cpconfig.environments",
        "_cpdispatch.Dispatcher",
        "_cperror.get_error_page",
        "_cperror.HTTPRedirect",
        "_cplogging.LogManager",
        "_cplogging.logfmt",
        "_cpnative_server.CPHTTPServer",
        "_cpreqbody.Part",
        "_cpreqbody.SizedReader",
        "_cpreqbody.process_urlencoded",
        "_cprequest.Hook",
        "_cprequest.Request",
        "_cprequest.Response",
        "_cprequest.hookpoints",
        "_cpserver.Server",
        "_cptools.HandlerTool",
        "_cptools.Toolbox",
        "_cptools.XMLRPCController",
        "_cptree.Application",
        "_cptree.Tree",
        "_cpwsgi.CPWSGIApp",
        "_cpwsgi.VirtualHost",
        "_cpwsgi_server.CPWSGIServer",
        "_helper.expose",
        "_helper.url",
        "_json.encode",
    ],
)
def test_old_names_that_applications_use(dotted: str) -> None:
    """From modules that moved."""
    module, name = dotted.split(".")

    assert getattr(getattr(cherrypy, module), name) is not None


def test_replacing_an_old_name_replaces_the_new_one() -> None:
    """And putting it back does, too."""
    from cherrypy.core import logs

    before = logs.LazyRfc3339UtcTime
    with mock.patch("cherrypy._cplogging.LazyRfc3339UtcTime", return_value="now"):
        inside: Any = logs.LazyRfc3339UtcTime

    assert inside() == "now"
    assert logs.LazyRfc3339UtcTime is before


def test_late_names_are_absent_in_a_new_process() -> None:
    """Applications ask for them with hasattr."""
    code = f"import cherrypy; print([hasattr(cherrypy, name) for name in {LATE!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[False, False, False]", done.stderr


def test_what_an_import_subscribes() -> None:
    """The end state that applications rely on."""
    code = """
import cherrypy
engine = cherrypy.engine
assert cherrypy.server.start in engine.listeners["start"]
assert cherrypy.checker in engine.listeners["start"]
assert engine.autoreload.start in engine.listeners["start"]
assert engine.thread_manager.acquire_thread in engine.listeners["acquire_thread"]
assert {"before_request", "after_request"} <= set(engine.listeners)
assert cherrypy.log.screen
assert cherrypy.config["tools.encode.on"]
assert str(engine.state) == "states.STOPPED" or repr(engine.state) == "states.STOPPED"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_proxies_are_their_objects() -> None:
    """Attributes, items, truth and dir go through."""
    response = cherrypy._cprequest.Response()
    cherrypy.serving.load(cherrypy.serving.request, response)
    cherrypy.response.extra = 1

    assert response.extra == 1  # type: ignore[attr-defined]
    assert "extra" in cherrypy.response.__dict__
    assert "finalize" in dir(cherrypy.response)
    cherrypy.serving.clear()


def test_expose_and_aliases() -> None:
    """All forms of the decorator."""

    class Pages:
        @cherrypy.expose
        def bare(self) -> None: ...

        @cherrypy.expose()
        def called(self) -> None: ...

        @cherrypy.expose("other.name")
        def one(self) -> None: ...

        @cherrypy.expose(["two", "three"])
        def several(self) -> None: ...

        @cherrypy.expose(alias="four")
        def keyword(self) -> None: ...

        def function(self) -> None: ...

        cherrypy.expose(function, "five")

    pages: Any = Pages
    names = ("bare", "called", "one", "other_name", "two", "three", "four", "five", "function")
    assert all(getattr(pages, name).exposed for name in names)
    assert pages.two is pages.several


def test_popargs(site: Any) -> None:
    """As a class decorator, with and without a handler."""

    class Day:
        def __init__(self, year: str, month: str = "-") -> None:
            self.date = (year, month)

        @cherrypy.expose
        def index(self, **params: str) -> str:
            return f"{self.date} {params}"

    @cherrypy.popargs("year", "month", handler=Day)
    class Made:
        pass

    @cherrypy.popargs("year", "month")
    class Blog:
        @cherrypy.expose
        def index(self, **params: str) -> str:
            return str(sorted(params.items()))

        @cherrypy.expose
        def page(self, year: str, month: str) -> str:
            return f"page {year} {month}"

    site.mount(type("Root", (), {"made": Made(), "blog": Blog()})())

    assert site("/made/2024/05/").body == b"('2024', '05') {}"
    assert site("/made/2024/").body == b"('2024', '-') {}"
    assert site("/blog/2024/05/").body == b"[('month', '05'), ('year', '2024')]"
    assert site("/blog/2024/05/page").body == b"page 2024 05"
    with pytest.raises(TypeError):
        cherrypy.popargs("a", handle=Day)
