"""How a request ends when things go wrong: thrown, answered, and answered in the last resort."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy
from cherrypy.core.request import Request


class Broken:
    """A page that fails."""

    @cherrypy.expose
    def index(self) -> str:
        raise ZeroDivisionError("on purpose")

    @cherrypy.expose
    def stop(self) -> str:
        raise KeyboardInterrupt

    @cherrypy.expose
    def stages(self) -> str:
        return str(cherrypy.request.stage)


def run(app: Any, target: str = "/") -> Any:
    """Run a request past the responder; returns the response."""
    request, response = app.get_serving(None, None, "http", "HTTP/1.1")
    request.run("GET", target, "", "HTTP/1.1", [("Host", "x")], None)
    return response


def fail() -> None:
    """Fail differently from the page."""
    raise OSError("again")


@pytest.mark.parametrize(
    ("hidden", "shown"), [({}, True), ({"request.show_tracebacks": False}, False)], ids=["shown", "hidden"]
)
def test_the_last_resort_is_plain_text(site: Any, hidden: dict[str, Any], shown: bool) -> None:
    """When answering the error fails too: a sentence, and a traceback only if tracebacks may be shown."""
    site.mount(Broken(), config={"/": {"request.error_response": fail, **hidden}})
    reply = site("/")

    assert (reply.status, reply.headers["Content-Type"]) == (500, "text/plain")
    assert reply.body.startswith(b"Unrecoverable error in the server.")
    assert reply.headers["Content-Length"] == str(len(reply.body))
    assert (b"again" in reply.body, b"Traceback" in reply.body) == (shown, shown)


@pytest.mark.parametrize("point", ["before_error_response", "after_error_response"])
def test_a_failing_error_hook_ends_in_the_last_resort(site: Any, point: str) -> None:
    """Both points are inside the answer to the error."""
    site.mount(Broken(), config={"/": {f"hooks.{point}": fail}})

    assert site("/").body.startswith(b"Unrecoverable error in the server.")


def test_error_response_may_be_any_callable(site: Any) -> None:
    """It makes the answer itself."""

    def sorry() -> None:
        cherrypy.response.status = 503
        cherrypy.response.body = b"sorry"

    site.mount(Broken(), config={"/": {"request.error_response": sorry}})

    assert (site("/").status, site("/").body) == (503, b"sorry")


def test_error_response_may_be_another_error(site: Any) -> None:
    """``HTTPError(503).set_response``."""
    site.mount(Broken(), config={"/": {"request.error_response": cherrypy.HTTPError(503, "full").set_response}})

    assert site("/").status == 503
    assert b"full" in site("/").body


def test_error_response_may_redirect(site: Any) -> None:
    """An HTTPRedirect out of it is an answer."""

    def away() -> None:
        raise cherrypy.HTTPRedirect("http://elsewhere/")

    site.mount(Broken(), config={"/": {"request.error_response": away}})

    assert site("/").headers["Location"] == "http://elsewhere/"


def test_error_response_may_be_nothing(site: Any) -> None:
    """Then the hooks make the answer."""

    def answer() -> None:
        cherrypy.response.body = b"by hook"

    site.mount(Broken(), config={"/": {"request.error_response": None, "hooks.after_error_response": answer}})

    assert site("/").body == b"by hook"


def test_what_throws_names_leaves_the_request(site: Any) -> None:
    """KeyboardInterrupt and SystemExit by default; others when they are configured."""
    app = site.mount(Broken(), config={"/": {"request.throws": (*Request.throws, ZeroDivisionError)}})

    with pytest.raises(KeyboardInterrupt):
        run(app, "/stop")
    with pytest.raises(ZeroDivisionError):
        run(app, "/")


def test_on_end_resource_runs_also_for_what_is_thrown(site: Any) -> None:
    """It always does."""
    seen: list[str] = []
    app = site.mount(Broken(), config={"/": {"hooks.on_end_resource": lambda: seen.append("end")}})
    with pytest.raises(KeyboardInterrupt):
        run(app, "/stop")

    assert seen == ["end"]


@pytest.mark.parametrize("errors", [{"hooks.before_error_response": fail}, {"request.error_response": fail}])
def test_throw_errors_lets_everything_through(site: Any, errors: dict[str, Any]) -> None:
    """The page's error, without asking who answers errors."""
    app = site.mount(Broken(), config={"/": {"request.throw_errors": True, **errors}})

    with pytest.raises(ZeroDivisionError):
        run(app)


def test_the_stage_tells_where_a_request_is(site: Any) -> None:
    """At each hook point, and at the end."""
    stages: list[str | None] = []

    def note() -> None:
        stages.append(cherrypy.serving.request.stage)

    points = ["on_start_resource", "before_request_body", "before_handler", "before_finalize"]
    points += ["on_end_resource", "on_end_request", "before_error_response"]
    app = site.mount(Broken(), config={"/": {f"hooks.{point}": note for point in points}})
    site("/stages")
    of_page, stages[:] = list(stages), []
    site("/")
    of_error = list(stages)
    request, _ = app.get_serving(None, None, "http", "HTTP/1.1")
    request.close()

    assert of_page == [
        "on_start_resource",
        "before_request_body",
        "before_handler",
        "before_finalize",
        "on_end_resource",
        "on_end_request",
    ]
    assert of_error == [
        "on_start_resource",
        "before_request_body",
        "before_handler",
        "on_end_resource",
        "handle_error",
        "on_end_request",
    ]
    assert (request.stage, request.closed) == ("close", True)


def test_a_request_is_closed_once(site: Any) -> None:
    """However often it is asked to."""
    seen: list[str] = []
    app = site.mount(Broken(), config={"/": {"hooks.on_end_request": lambda: seen.append("end")}})
    run(app, "/stages")
    request = cherrypy.serving.request
    request.close()
    request.close()

    assert seen == ["end"]


def test_without_an_application_nothing_is_found() -> None:
    """A bare request, as tests make it."""
    request, response = Request(None, None), cherrypy._cprequest.Response()
    cherrypy.serving.load(request, response)
    try:
        request.app = None
        request.run("GET", "/x", "", "HTTP/1.1", [("Host", "x")], None)

        assert response.output_status == b"404 Not Found"
    finally:
        cherrypy.serving.clear()


def test_an_internal_redirect_knows_what_it_replaced(site: Any) -> None:
    """``prev`` is the request before, closed; the new one is a GET without body, query and path as told."""
    seen: list[Any] = []

    class Root:
        @cherrypy.expose
        def a(self, **params: str) -> str:
            raise cherrypy.InternalRedirect("/b?x=1")

        @cherrypy.expose
        def b(self, x: str) -> str:
            raise cherrypy.InternalRedirect("c", "y=2")

        @cherrypy.expose
        def c(self, y: str) -> str:
            request = cherrypy.serving.request
            trail = [request, request.prev, request.prev.prev]
            seen.extend((one.path_info, one.query_string, one.method, one.closed) for one in trail)
            return str(request.prev.prev.prev)

    site.mount(Root())

    assert site.form("/a?q=0", b"f=1").body == b"None"
    assert seen == [("/c", "y=2", "GET", False), ("/b", "x=1", "GET", True), ("/a", "q=0", "POST", True)]


def test_a_log_that_fails_costs_no_answer(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk may be full."""
    app = site.mount(Broken())
    monkeypatch.setattr(app.log, "access", fail)

    assert site("/stages").status == 200
