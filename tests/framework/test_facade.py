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
