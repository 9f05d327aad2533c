"""Applications: what they are made of, and that nothing is left of them."""

from __future__ import annotations

import gc
import io
import logging
import weakref
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.conf import namespaces
from cherrypy.core.logs import LogManager
from cherrypy.core.request import Request
from cherrypy.core.response import Response


class Root:
    """One page."""

    @cherrypy.expose
    def index(self) -> str:
        return f"{cherrypy.request.app.script_name}|{cherrypy.request.script_name}|{cherrypy.request.path_info}"


def ask(app: Any, script_name: str = "", path: str = "/") -> tuple[str, bytes]:
    """Return (status, body) of one request by WSGI."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "site.test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "site.test",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    statuses: list[str] = []
    answer = app(environ, lambda status, headers, exc_info=None: statuses.append(status))
    body = b"".join(answer)
    answer.close()
    return statuses[0], body


def test_what_an_application_has() -> None:
    """The documented attributes."""
    root = Root()

    app = cherrypy.Application(root, "/app/", {"/": {"a": 1}, "Free": {"b": 2}})

    assert (app.root, app.script_name) == (root, "/app")
    assert app.config == {"/": {"a": 1}, "Free": {"b": 2}}
    assert (app.request_class, app.response_class, app.relative_urls) == (Request, Response, False)
    assert app.toolboxes == {"tools": cherrypy.tools}
    assert set(app.namespaces) == {"log", "wsgi"}
    assert isinstance(app.log, LogManager)
    assert app.wsgiapp.cpapp is app
    assert repr(app) == f"cherrypy.app.application.Application({root!r}, '/app')"


@pytest.mark.parametrize(("given", "kept"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/a/b//", "/a/b")])
def test_a_script_name_has_no_slash_at_its_end(given: str, kept: str) -> None:
    """Neither at the start nor later."""
    app = cherrypy.Application(None, given)
    assert app.script_name == kept

    app.script_name = given

    assert app.script_name == kept


def test_a_script_name_may_be_the_environ_s() -> None:
    """None: wherever the application is served from."""
    app = cherrypy.Application(Root(), None)

    assert ask(app, "/here") == ("200 OK", b"/here|/here|/")
    assert ask(app, "/there/") == ("200 OK", b"/there|/there|/")


def test_without_a_request_there_is_no_script_name_of_the_environ() -> None:
    """It says so; and the application can be shown all the same."""
    app = cherrypy.Application(None, None)

    with pytest.raises(AttributeError, match="exists during requests only"):
        _ = app.script_name
    assert repr(app).endswith("Application(None, None)")


def test_it_is_a_wsgi_callable() -> None:
    """Without a tree."""
    assert ask(cherrypy.Application(Root())) == ("200 OK", b"||/")


@pytest.mark.parametrize(
    ("path", "found"),
    [("", 0), ("/", 0), ("/a", 1), ("/a/", 1), ("/a/b", 1), ("/ab", 0), ("/a/b/c", 3), ("/a/b/c/d", 3), ("/q", 0)],
)
def test_find_config_takes_the_nearest_section_above(path: str, found: int) -> None:
    """By whole segments."""
    app = cherrypy.Application(None, "", {"/": {"k": 0}, "/a": {"k": 1}, "/a/b": {"other": 2}, "/a/b/c": {"k": 3}})

    assert app.find_config(path, "k") == found
    assert app.find_config(path, "absent") is None
    assert app.find_config(path, "absent", "default") == "default"


def test_merge_takes_files_and_dicts(tmp_path: Path) -> None:
    """Later keys win; sections that are no paths are the application's own."""
    file = tmp_path / "app.conf"
    file.write_text("[/]\na = 1\nb = 1\n[Databases]\nhost = 'db'\n")
    app = cherrypy.Application(None, config=str(file))

    app.merge({"/": {"b": 2}})
    with file.open() as opened:
        app.merge(opened)
    app.merge({"/": {"b": 3}})

    assert app.config == {"/": {"a": 1, "b": 3}, "Databases": {"host": "db"}}


def test_merge_refuses_what_is_in_no_section() -> None:
    """With its name, and the cure."""
    with pytest.raises(ValueError, match=r"'tools\.gzip\.on' stands outside of any\. Give paths as sections, .*'/'"):
        cherrypy.Application(None).merge({"tools.gzip.on": True})


def test_merge_tells_the_application_s_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """log.* and wsgi.* of '/', and those that were added; of other sections none."""
    monkeypatch.setattr(namespaces, "_warned", set())
    told: list[Any] = []
    app = cherrypy.Application(None)
    app.namespaces["mine"] = lambda key, value: told.append((key, value))
    log = str(tmp_path / "access.log")

    app.merge({"/": {"log.access_file": log, "mine.a": 1, "wsgi.response_class": dict}, "/deep": {"mine.b": 2}})
    written = app.log.access_file
    app.log.access_file = ""

    assert written == log
    assert told == [("a", 1)]
    assert app.wsgiapp.response_class is dict
    assert "mine" not in cherrypy.Application(None).namespaces
    with pytest.warns(namespaces.UnknownKeyWarning, match=r"'log\.acces_file'; did you mean log\.access_file\?"):
        app.merge({"/": {"log.acces_file": log}})


def test_the_pipeline_of_an_application() -> None:
    """``wsgi.pipeline`` extends it, ``wsgi.NAME.ARGUMENT`` are arguments of what is in it."""

    class Around:
        def __init__(self, nextapp: Any, word: bytes = b"") -> None:
            self.nextapp, self.word = nextapp, word

        def __call__(self, environ: Any, start_response: Any) -> Any:
            answer = self.nextapp(environ, start_response)
            body = b"".join(answer)
            answer.close()
            return io.BytesIO(self.word + body)

    app = cherrypy.Application(
        Root(), "", {"/": {"wsgi.pipeline": [("around", Around)], "wsgi.around.word": b"<around>"}}
    )

    assert ask(app) == ("200 OK", b"<around>||/")
    assert [name for name, _ in app.wsgiapp.pipeline] == ["ExceptionTrapper", "InternalRedirector", "around"]
    assert [name for name, _ in cherrypy.Application(None).wsgiapp.pipeline] == [
        "ExceptionTrapper",
        "InternalRedirector",
    ]


def test_serving_is_acquired_and_released() -> None:
    """``get_serving`` makes both current, ``release_serving`` closes the request and forgets them."""
    app = cherrypy.Application(Root(), "/app")
    closed: list[str] = []

    request, response = app.get_serving(None, None, "https", "HTTP/1.1")
    request.hooks.attach("on_end_request", lambda: closed.append("closed"))
    cherrypy.serving.extra = 1
    current = (cherrypy.serving.request, cherrypy.serving.response)
    app.release_serving()

    assert current == (request, response)
    assert (request.app, request.script_name, request.scheme) == (app, "/app", "https")
    assert (closed, request.closed) == (["closed"], True)
    assert cherrypy.serving.__dict__ == {}


def test_a_request_that_fails_to_close_is_released_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """And the failure is logged."""
    app = cherrypy.Application(Root())
    request, _ = app.get_serving(None, None, "http", "HTTP/1.1")

    def fail() -> None:
        raise KeyError("closing")

    request.hooks.attach("on_end_request", fail)
    app.release_serving()

    assert cherrypy.serving.__dict__ == {}
    assert any("closing" in str(record.exc_info) for record in caplog.records)


def test_classes_of_request_and_response_may_be_replaced(site: Any) -> None:
    """For one application."""

    class OwnRequest(Request):
        own = "request"

    class OwnResponse(Response):
        own = "response"

    class Shows:
        @cherrypy.expose
        def index(self) -> str:
            return f"{cherrypy.request.own} {cherrypy.response.own}"

    app = site.mount(Shows())
    app.request_class, app.response_class = OwnRequest, OwnResponse

    assert site("/").body == b"request response"


def test_200_applications_leave_no_listeners_and_no_loggers_behind(tmp_path: Path) -> None:
    """Tests of applications make one each; with a log file of its own for the last."""

    def listeners() -> int:
        return sum(len(found) for found in cherrypy.engine.listeners.values())

    def loggers() -> set[str]:
        return {name for name in logging.Logger.manager.loggerDict if name.startswith("cherrypy.")}

    gc.collect()
    before = (listeners(), loggers())
    apps = [cherrypy.Application(Root(), f"/{number}", {"/": {"tools.gzip.on": True}}) for number in range(200)]
    assert [ask(app, app.script_name)[0] for app in apps] == ["200 OK"] * 200
    apps[-1].log.error_file = str(tmp_path / "error.log")
    handler = apps[-1].log.error_log.handlers[-1]
    last = weakref.ref(apps[-1])
    del apps
    gc.collect()

    assert last() is None
    assert (listeners(), loggers()) == before
    assert getattr(handler, "stream", None) is None
