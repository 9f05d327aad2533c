"""Arguments that do not fit a page, and whose mistake that is."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy

HIDDEN = {"request.show_mismatched_params": False, "request.show_tracebacks": False}


class Pages:
    """Signatures of all kinds."""

    @cherrypy.expose
    def two(self, a: str, b: str) -> str:
        return a + b

    @cherrypy.expose
    def optional(self, a: str, b: str = "B") -> str:
        return a + b

    @cherrypy.expose
    def anything(self, *args: str, **kwargs: str) -> str:
        return f"{args} {kwargs}"

    @cherrypy.expose
    def keyword(self, *, a: str, b: str = "B") -> str:
        return a + b

    @cherrypy.expose
    def mistaken(self) -> str:
        return "x" + 1  # type: ignore[operator]


@pytest.mark.parametrize(
    ("target", "form", "status", "message"),
    [
        ("/two?a=1&b=2", b"", 200, ""),
        ("/two/1/2", b"", 200, ""),
        ("/two/1?b=2", b"", 200, ""),
        ("/two?a=1", b"b=2", 200, ""),
        ("/two?a=1", b"", 404, "Missing parameters: b"),
        ("/two", b"", 404, "Missing parameters: a,b"),
        ("/two/1/2/3", b"", 404, "Nothing matches the given URI"),
        ("/two/1/2?a=3", b"", 404, "Multiple values for parameters: a"),
        ("/two/1/2", b"a=3", 400, "Multiple values for parameters: a"),
        ("/two?a=1&b=2&c=3", b"", 404, "Unexpected query string parameters: c"),
        ("/two?a=1&b=2", b"c=3", 400, "Unexpected body parameters: c"),
        ("/two?a=1&b=2&d=4", b"c=3", 404, "Unexpected query string parameters: d"),
        ("/optional/1", b"", 200, ""),
        ("/anything/1?x=2", b"y=3", 200, ""),
        ("/keyword?a=1", b"", 200, ""),
        ("/keyword", b"", 404, "Missing parameters: a"),
        ("/keyword/1", b"", 404, "Missing parameters: a"),
        ("/mistaken", b"", 500, "TypeError"),
    ],
)
def test_mismatches(site: Any, target: str, form: bytes, status: int, message: str) -> None:
    """404 for what the URL says, 400 for what the body says, 500 for the page's own mistake."""
    site.mount(Pages())

    reply = site.form(target, form) if form else site(target)

    assert reply.status == status
    assert message in reply.body.decode()


def test_details_can_be_hidden(site: Any) -> None:
    """request.show_mismatched_params says how much the client is told."""
    site.mount(Pages(), config={"/": HIDDEN})

    assert b"Missing parameters" not in site("/two").body


def test_callable_objects_and_classes_have_signatures(site: Any) -> None:
    """Not only functions are pages."""

    class Callable:
        exposed = True

        def __call__(self, a: str) -> str:
            return a

    site.mount(type("Root", (), {"page": Callable()})())

    assert (site("/page?a=1").body, site("/page").status) == (b"1", 404)
