"""The stages of a request, their order, and what errors do to it."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy

POINTS = ["on_start_resource", "before_request_body", "before_handler", "before_finalize", "on_end_resource"]
EVERY_POINT = [*POINTS, "on_end_request", "before_error_response", "after_error_response"]


@pytest.fixture
def seen() -> list[str]:
    """Give a list that the recording hooks write to."""
    return []


def recording(seen: list[str]) -> dict[str, Any]:
    """Return configuration that notes every hook point when it is reached."""
    return {f"hooks.{point}": (lambda point=point: seen.append(point)) for point in EVERY_POINT}


class Pages:
    """A page for each kind of end."""

    @cherrypy.expose
    def index(self) -> str:
        return "fine"

    @cherrypy.expose
    def broken(self) -> str:
        raise ZeroDivisionError("broken on purpose")

    @cherrypy.expose
    def error(self) -> str:
        raise cherrypy.HTTPError(418, "short and stout")

    @cherrypy.expose
    def away(self) -> str:
        raise cherrypy.HTTPRedirect("/elsewhere")

    @cherrypy.expose
    def inside(self) -> str:
        raise cherrypy.InternalRedirect("/show?x=1")

    @cherrypy.expose
    def circle(self) -> str:
        raise cherrypy.InternalRedirect("/circle")

    @cherrypy.expose
    def show(self, x: str = "") -> str:
        previous = cherrypy.request.prev
        return f"x={x} from {previous.path_info if previous else None}"

    @cherrypy.expose
    def stages(self) -> str:
        return str(cherrypy.request.stage)


def test_hook_points_come_in_the_documented_order(site: Any, seen: list[str]) -> None:
    """A page that works passes five points before and one after its answer."""
    site.mount(Pages(), config={"/": recording(seen)})

    assert site("/").body == b"fine"
    assert seen == [*POINTS, "on_end_request"]


def test_an_unexpected_error_passes_the_two_error_points(site: Any, seen: list[str]) -> None:
    """before_finalize is not reached; on_end_resource comes all the same."""
    site.mount(Pages(), config={"/": recording(seen)})

    reply = site("/broken")

    assert reply.status == 500
    assert b"ZeroDivisionError: broken on purpose" in reply.body
    assert seen == [
        "on_start_resource",
        "before_request_body",
        "before_handler",
        "on_end_resource",
        "before_error_response",
        "after_error_response",
        "on_end_request",
    ]


def test_an_http_error_is_finalized_like_a_page(site: Any, seen: list[str]) -> None:
    """HTTPError and HTTPRedirect pass before_finalize."""
    site.mount(Pages(), config={"/": recording(seen)})

    reply = site("/error")

    assert reply.status == 418
    assert b"short and stout" in reply.body
    assert seen == [*POINTS, "on_end_request"]


def test_tracebacks_can_be_hidden(site: Any) -> None:
    """With request.show_tracebacks off, the page says nothing of the code."""
    site.mount(Pages(), config={"/": {"request.show_tracebacks": False}})

    assert b"Traceback" not in site("/broken").body


def test_a_failing_error_page_ends_in_the_bare_minimum(site: Any) -> None:
    """An error in the error's own hooks gives a plain 500."""

    def fail() -> None:
        raise RuntimeError("again")

    site.mount(Pages(), config={"/": {"hooks.before_error_response": fail}})

    reply = site("/broken")

    assert reply.status == 500
    assert reply.headers["Content-Type"] == "text/plain"
    assert reply.body.startswith(b"Unrecoverable error in the server.")


def test_thrown_errors_leave_the_request(site: Any) -> None:
    """request.throw_errors lets the exception through to whoever runs the application."""
    app = site.mount(Pages(), config={"/": {"request.throw_errors": True}})
    request, _ = app.get_serving(None, None, "http", "HTTP/1.1")

    with pytest.raises(ZeroDivisionError):
        request.run("GET", "/broken", "", "HTTP/1.1", [("Host", "site.test")], None)


def test_a_redirect_is_absolute(site: Any) -> None:
    """The Location is built from the Host that the client used."""
    site.mount(Pages())

    reply = site("/away")

    assert reply.status == 303
    assert reply.headers["Location"] == "http://site.test/elsewhere"


def test_an_old_client_is_redirected_by_302(site: Any) -> None:
    """HTTP/1.0 does not know 303."""
    site.mount(Pages())

    assert site("/away", version=(1, 0)).status == 302


def test_an_internal_redirect_runs_another_page(site: Any) -> None:
    """The client does not notice; the new request knows the old one."""
    site.mount(Pages())

    reply = site("/inside", "POST", body=b"a=1")

    assert (reply.status, reply.body) == (200, b"x=1 from /inside")


def test_an_internal_circle_is_an_error(site: Any) -> None:
    """A redirect to a URL that redirected before ends in a 500."""
    site.mount(Pages())

    assert site("/circle").status == 500


def test_head_is_get_without_a_body(site: Any) -> None:
    """Content-Length still tells what GET would send."""
    site.mount(Pages())

    reply = site("/", "HEAD")

    assert reply.body == b""
    assert reply.headers["Content-Length"] == "4"


def test_nothing_is_found(site: Any) -> None:
    """404 names the path."""
    site.mount(Pages())

    reply = site("/nothing/here")

    assert reply.status == 404
    assert b"The path &#x27;/nothing/here&#x27; was not found." in reply.body.replace(b"'", b"&#x27;")


def test_an_undecodable_query_is_404(site: Any) -> None:
    """No page has that address."""
    site.mount(Pages())

    assert site("/show?x=%ff").status == 404


def test_a_malformed_cookie_costs_only_who_reads_cookies(site: Any) -> None:
    """400 for the page that looks, 200 for the one that does not."""

    class Cookies(Pages):
        @cherrypy.expose
        def read(self) -> str:
            return str(len(cherrypy.request.cookie))

    site.mount(Cookies())
    bad = {"Cookie": 'a="\\"; b\x01=1; c='}

    assert site("/", headers=bad).status == 200


def test_host_is_required_of_wsgi_clients(site: Any) -> None:
    """HTTP/1.1 without a Host is 400."""
    app = site.mount(Pages())
    request, response = app.get_serving(None, None, "http", "HTTP/1.1")

    request.run("GET", "/", "", "HTTP/1.1", [], None)

    assert response.output_status == b"400 Bad Request"


def test_headers_are_parsed_when_they_are_touched(site: Any) -> None:
    """A page that does not look at headers leaves them as bytes."""
    states: list[dict[str, Any]] = []

    class Lazy:
        @cherrypy.expose
        def index(self) -> str:
            states.append(dict(cherrypy.serving.request.__dict__))
            return cherrypy.request.headers["X-Probe"]

    site.mount(Lazy())
    reply = site("/", headers={"x-probe": "there"})

    assert reply.body == b"there"
    assert not {"headers", "cookie", "unique_id", "body", "config", "hooks", "base"} & set(states[0])


def test_the_server_learns_which_page_runs(site: Any) -> None:
    """The same code object for the same page, whatever the path."""
    site.mount(Pages())

    site("/show?x=1")
    site("/show")

    assert site.entered == [Pages.show.__code__] * 2


def test_a_streamed_body_ends_the_request_when_it_is_closed(site: Any, seen: list[str]) -> None:
    """on_end_request waits for the last piece; the generator is closed with it."""

    class Stream:
        @cherrypy.expose
        def index(self) -> Any:
            try:
                yield b"one"
                yield b"two"
            finally:
                seen.append("closed")

    site.mount(Stream(), config={"/": {**recording(seen), "response.stream": True}})
    _, _, pieces, close = site.respond(site.message("/", "GET", {}, b"", (1, 1)))
    first = next(iter(pieces))
    close()

    assert first == b"one"
    assert seen[-2:] == ["closed", "on_end_request"]


def test_nothing_remains_on_the_thread(site: Any) -> None:
    """After the answer the thread serves no request."""
    site.mount(Pages())
    site("/")

    assert cherrypy.serving.__dict__ == {}
