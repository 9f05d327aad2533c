"""Arguments that do not fit a page, and whose mistake that is."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import cherrypy
from cherrypy.dispatch import getargspec, test_callable_spec

test_callable_spec.__test__ = False  # type: ignore[attr-defined]

HIDDEN = {"request.show_mismatched_params": False, "request.show_tracebacks": False}


class Called:
    """A page that is an object."""

    exposed = True

    def __call__(self, a: str) -> str:
        return a


def joined(a: str, b: str) -> str:
    """Stand for any function."""
    return a + b


partial: Any = functools.partial(joined, "x")
partial.exposed = True


class Pages:
    """Signatures of all kinds."""

    called = Called()
    partial = partial

    @cherrypy.expose
    def nothing(self) -> str:
        return ""

    @cherrypy.expose
    def two(self, a: str, b: str) -> str:
        return a + b

    @cherrypy.expose
    def optional(self, a: str, b: str = "B") -> str:
        return a + b

    @cherrypy.expose
    def rest(self, a: str, *rest: str) -> str:
        return f"{a} {rest}"

    @cherrypy.expose
    def named(self, a: str, **named: str) -> str:
        return f"{a} {named}"

    @cherrypy.expose
    def anything(self, *args: str, **kwargs: str) -> str:
        return f"{args} {kwargs}"

    @cherrypy.expose
    def keyword(self, *, a: str, b: str = "B") -> str:
        return a + b

    @cherrypy.expose
    def annotated(self, a: int, b: list[str] = ()) -> str:  # type: ignore[assignment]
        return str(a)

    @staticmethod
    @cherrypy.expose
    def static(a: str) -> str:
        return a

    @classmethod
    @cherrypy.expose
    def of_class(cls, a: str) -> str:
        return a

    @cherrypy.expose
    def mistaken(self, a: str = "") -> str:
        return "x" + 1  # type: ignore[operator]


GENERAL = "Nothing matches the given URI"


@pytest.mark.parametrize(
    ("target", "form", "status", "message"),
    [
        ("/nothing", b"", 200, ""),
        ("/nothing/1", b"", 404, GENERAL),
        ("/nothing?x=1", b"", 404, "Unexpected query string parameters: x"),
        ("/nothing", b"x=1", 400, "Unexpected body parameters: x"),
        ("/two?a=1&b=2", b"", 200, "12"),
        ("/two/1/2", b"", 200, "12"),
        ("/two/1?b=2", b"", 200, "12"),
        ("/two?a=1", b"b=2", 200, "12"),
        ("/two", b"a=1&b=2", 200, "12"),
        ("/two?a=1", b"", 404, "Missing parameters: b"),
        ("/two", b"a=1", 404, "Missing parameters: b"),
        ("/two", b"", 404, "Missing parameters: a,b"),
        ("/two?c=1", b"", 404, "Missing parameters: a,b"),
        ("/two/1/2/3", b"", 404, GENERAL),
        ("/two/1/2?a=3", b"", 404, "Multiple values for parameters: a"),
        ("/two/1/2", b"a=3", 400, "Multiple values for parameters: a"),
        ("/two/1/2", b"a=3&b=4", 400, "Multiple values for parameters: a,b"),
        ("/two/1/2?a=3", b"b=4", 404, "Multiple values for parameters: a,b"),
        ("/two?a=1&b=2&c=3", b"", 404, "Unexpected query string parameters: c"),
        ("/two?a=1&b=2&d=3&c=4", b"", 404, "Unexpected query string parameters: c, d"),
        ("/two?a=1&b=2", b"c=3", 400, "Unexpected body parameters: c"),
        ("/two?a=1&b=2", b"d=3&c=4", 400, "Unexpected body parameters: c, d"),
        ("/two?a=1&b=2&d=4", b"c=3", 404, "Unexpected query string parameters: d"),
        ("/optional/1", b"", 200, "1B"),
        ("/optional?b=2", b"", 404, "Missing parameters: a"),
        ("/optional/1/2?b=3", b"", 404, "Multiple values for parameters: b"),
        ("/rest", b"", 404, "Missing parameters: a"),
        ("/rest/1/2/3", b"", 200, "1 ('2', '3')"),
        ("/rest/1?x=2", b"", 404, "Unexpected query string parameters: x"),
        ("/named/1?x=2", b"y=3", 200, "1 {'x': '2', 'y': '3'}"),
        ("/named/1?a=2", b"", 404, "Multiple values for parameters: a"),
        ("/named/1/2", b"", 404, GENERAL),
        ("/anything/1?x=2", b"y=3", 200, "('1',) {'x': '2', 'y': '3'}"),
        ("/keyword?a=1", b"", 200, "1B"),
        ("/keyword", b"", 404, "Missing parameters: a"),
        ("/keyword?b=1", b"", 404, "Missing parameters: a"),
        ("/keyword?a=1&c=2", b"", 404, "Unexpected query string parameters: c"),
        ("/keyword?a=1", b"c=2", 400, "Unexpected body parameters: c"),
        ("/keyword/1?a=1", b"", 404, GENERAL),
        ("/annotated/1", b"", 200, "1"),
        ("/annotated", b"", 404, "Missing parameters: a"),
        ("/static/1", b"", 200, "1"),
        ("/static", b"", 404, "Missing parameters: a"),
        ("/of_class/1", b"", 200, "1"),
        ("/of_class", b"", 404, "Missing parameters: a"),
        ("/called/1", b"", 200, "1"),
        ("/called", b"", 404, "Missing parameters: a"),
        ("/called/1/2", b"", 404, GENERAL),
        ("/partial/y", b"", 200, "xy"),
        ("/partial/y/z", b"", 404, GENERAL),
        ("/mistaken", b"", 500, "TypeError"),
        ("/mistaken/1", b"", 500, "TypeError"),
        ("/mistaken?x=1", b"", 404, "Unexpected query string parameters: x"),
    ],
)
def test_mismatches(site: Any, target: str, form: bytes, status: int, message: str) -> None:
    """404 for what the URL says, 400 for what the body says, 500 for the page's own mistake."""
    site.mount(Pages())

    reply = site.form(target, form) if form else site(target)

    assert reply.status == status
    assert message in reply.body.decode()


@pytest.mark.parametrize(
    ("target", "form", "status", "message"),
    [
        ("/two", b"", 404, GENERAL),
        ("/two/1/2?a=3", b"", 404, GENERAL),
        ("/two/1/2", b"a=3", 400, "Bad request syntax or unsupported method"),
        ("/nothing?x=1", b"", 404, GENERAL),
        ("/nothing", b"x=1", 400, "Bad request syntax or unsupported method"),
    ],
)
def test_details_can_be_hidden(site: Any, target: str, form: bytes, status: int, message: str) -> None:
    """``request.show_mismatched_params`` says whether the names of parameters are shown; the status is the same."""
    site.mount(Pages(), config={"/": HIDDEN})

    reply = site.form(target, form) if form else site(target)

    assert reply.status == status
    assert f"<p>{message}</p>" in reply.body.decode()


def test_names_of_parameters_are_escaped(site: Any) -> None:
    """SECURITY: they come from the client."""
    site.mount(Pages())

    body = site("/nothing?%3Cscript%3E=1").body

    assert b"parameters: &lt;script&gt;" in body


def test_it_can_be_called_by_dispatchers_of_the_users() -> None:
    """With a callable, positional and named arguments; what fits returns nothing."""
    assert test_callable_spec(joined, ("1",), {"b": "2"}) is None
    assert test_callable_spec(Called(), ("1",), {}) is None
    # a built-in without a signature cannot be judged
    assert test_callable_spec(dict.fromkeys, (1, 2, 3), {}) is None
    assert list(getargspec(joined)[0]) == ["a", "b"]
    with pytest.raises(cherrypy.HTTPError, match="404"):
        test_callable_spec(joined, ("1", "2", "3"), {})
