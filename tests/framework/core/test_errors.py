"""HTTPError, redirects and error pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cherrypy


def raising(page: Any, error: Any) -> Any:
    """Return a root whose index raises what *error* returns."""

    def fail() -> None:
        raise error()

    return page(fail)


@pytest.mark.parametrize("status", [399, 600, "200 OK"])
def test_an_error_has_an_error_status(status: Any) -> None:
    """Other codes are a mistake of the program."""
    with pytest.raises((ValueError, cherrypy.HTTPError)):
        cherrypy.HTTPError(status)


def test_the_reason_may_be_given() -> None:
    """As text behind the code."""
    error = cherrypy.HTTPError("404 No such book", "Look elsewhere")

    assert (error.code, error.reason, error.status) == (404, "No such book", "404 No such book")


def test_messages_are_escaped(site: Any, page: Any) -> None:
    """Whatever the client put into them."""
    site.mount(raising(page, lambda: cherrypy.HTTPError(400, "<script>")))

    body = site("/").body

    assert b"<script>" not in body
    assert b"&lt;script&gt;" in body


def test_headers_of_the_page_are_dropped(site: Any) -> None:
    """What described the page does not describe the error."""

    class Root:
        @cherrypy.expose
        def index(self) -> None:
            cherrypy.response.headers.update({"ETag": '"x"', "Last-Modified": "x", "X-Keep": "yes"})
            raise cherrypy.HTTPError(403)

    site.mount(Root())
    headers = site("/").headers

    assert "Etag" not in headers
    assert "ETag" not in headers
    assert headers["X-Keep"] == "yes"


@pytest.mark.parametrize(("given", "expected"), [("text", b"text"), (b"bytes", b"bytes")])
def test_a_callable_makes_the_page(site: Any, page: Any, given: Any, expected: bytes) -> None:
    """``error_page.default`` catches what has no page of its own."""
    site.mount(raising(page, lambda: cherrypy.HTTPError(410)), config={"/": {"error_page.default": lambda **kw: given}})

    assert site("/").body.rstrip() == expected


def test_a_file_is_a_template(site: Any, page: Any, tmp_path: Path) -> None:
    """Its places are status, message, traceback, version."""
    template = tmp_path / "gone.html"
    template.write_text("%(status)s - %(message)s\r\n", newline="")
    site.mount(
        raising(page, lambda: cherrypy.HTTPError(410, "gone for good")), config={"/": {"error_page.410": str(template)}}
    )

    assert site("/").body.rstrip(b" ") == b"410 Gone - gone for good\r\n"


def test_a_broken_page_does_not_hide_the_error(site: Any, page: Any) -> None:
    """The built-in page says both."""
    site.mount(raising(page, lambda: cherrypy.HTTPError(410)), config={"/": {"error_page.410": "no such file"}})
    reply = site("/")

    assert reply.status == 410
    assert b"In addition, the custom error page failed:\n<br />FileNotFoundError" in reply.body


def test_short_pages_are_padded(site: Any, page: Any) -> None:
    """Past the size below which browsers show their own."""
    site.mount(raising(page, lambda: cherrypy.HTTPError(404)), config={"/": {"error_page.404": lambda **kw: "x"}})

    assert site("/").headers["Content-Length"] == "513"


def test_handle_turns_one_error_into_another() -> None:
    """As a context manager."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        with cherrypy.HTTPError.handle(KeyError, 404):
            raise KeyError("x")

    assert caught.value.code == 404


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_redirects_escape_their_links(site: Any, page: Any, status: int) -> None:
    """The address may come from the client."""
    site.mount(raising(page, lambda: cherrypy.HTTPRedirect('/x"><script>', status)))
    reply = site("/")

    assert reply.status == status
    assert b"<script>" not in reply.body


def test_a_redirect_has_no_line_ends(site: Any, page: Any) -> None:
    """CR and LF would split the response."""
    site.mount(raising(page, lambda: cherrypy.HTTPRedirect("/x\r\nX-Evil: 1")))

    assert b"\n" not in dict(site("/").pairs)[b"Location"]


def test_not_modified_keeps_only_what_it_may(site: Any) -> None:
    """304 has no body and no headers about one."""

    class Root:
        @cherrypy.expose
        def index(self) -> None:
            cherrypy.response.headers["Content-Language"] = "en"
            raise cherrypy.HTTPRedirect("/", 304)

    site.mount(Root())
    reply = site("/")

    assert (reply.status, reply.body) == (304, b"")
    assert not {"Content-Language", "Content-Length", "Content-Type"} & set(reply.headers)


@pytest.mark.parametrize("status", [200, 404])
def test_a_redirect_has_a_redirect_status(status: int) -> None:
    """Other codes are a mistake of the program."""
    with pytest.raises(ValueError, match="between 300 and 399"):
        cherrypy.HTTPRedirect("/", status)


def test_a_page_made_by_a_callable_keeps_its_own_type(site: Any) -> None:
    """COMPAT: an application answers JSON from ``error_page.default``."""

    def page(**kwargs: str) -> str:
        cherrypy.response.headers["Content-Type"] = "application/json"
        return "{}"

    class Root:
        """Nothing but the error."""

    site.mount(Root(), "", {"/": {"error_page.default": page}})

    assert site("/absent").headers["Content-Type"] == "application/json"
