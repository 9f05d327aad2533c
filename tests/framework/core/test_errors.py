"""HTTPError and NotFound: what they are made of, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy
from cherrypy.core.errors import HTTPError


@pytest.mark.parametrize(
    ("given", "code", "reason", "message"),
    [
        (404, 404, "Not Found", "Nothing matches the given URI"),
        ("404", 404, "Not Found", "Nothing matches the given URI"),
        ("404 No such book", 404, "No such book", "Nothing matches the given URI"),
        (404.0, 404, "Not Found", "Nothing matches the given URI"),
        (b"404", 404, "Not Found", "Nothing matches the given URI"),
        (499, 499, "", ""),
        (599, 599, "", ""),
        (418, 418, "I'm a Teapot", "Server refuses to brew coffee because it is a teapot."),
    ],
)
def test_a_status_is_completed(given: Any, code: int, reason: str, message: str) -> None:
    """Reason and message are the standard's where none is given; ``status`` stays as given."""
    error = HTTPError(given)

    assert (error.code, error.reason, error._message, error.status) == (code, reason, message, given)
    assert error.args == (given, None)


@pytest.mark.parametrize("given", [200, 301, 399, "200 OK"])
def test_other_classes_of_status_are_a_mistake_of_the_program(given: Any) -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match=r"status must be between 400 and 599, not \d+"):
        HTTPError(given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [("abc", "is non-numeric"), (600, "is out of range"), (-1, "is out of range"), (True, "is out of range")],
)
def test_what_is_no_status_is_500(given: Any, reason: str) -> None:
    """With the reason in its message."""
    with pytest.raises(HTTPError) as caught:
        HTTPError(given)

    assert caught.value.code == 500
    assert reason in caught.value._message


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x00"])
def test_a_reason_cannot_split_the_response(site: Any, page: Any, end: str) -> None:
    """SECURITY: text of a client's as the reason, with a line end in it."""
    status = f"404 gone{end}Set-Cookie: a=b"

    def fail() -> None:
        raise HTTPError(status)

    def answer() -> str:
        cherrypy.response.status = status
        return ""

    for function in (fail, answer):
        site.mount(page(function))
        reply = site("/")

        assert reply.status == 500
        assert "Set-Cookie" not in reply.headers
        assert b"has control characters" in reply.body


def test_an_error_can_be_called_and_raised() -> None:
    """An instance stands where a page is expected; so does a class without arguments."""
    error = HTTPError(410, "gone")

    with pytest.raises(HTTPError) as caught:
        error()

    assert caught.value is error
    assert str(error) == "(410, 'gone')"
    assert HTTPError().code == 500


def test_not_found_names_the_path(site: Any, page: Any) -> None:
    """The client's, with the script name; or one that is given; escaped."""
    site.mount(page(lambda: ""), "/app")
    error = cherrypy.NotFound("/x")

    assert b"The path '/app/nothing&lt;' was not found." in site("/app/nothing%3C").body
    assert (error.code, error._message) == (404, "The path '/x' was not found.")
    assert isinstance(error, HTTPError)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [((), 500, "why"), ((404,), 404, "why"), ((404, "mine"), 404, "mine"), (("409 No",), 409, "why")],
)
def test_handle_turns_exceptions_into_errors(arguments: Any, code: int, message: str) -> None:
    """One class or several; the exception's text is the message unless one is given; the cause is kept."""
    with pytest.raises(HTTPError) as caught:
        with HTTPError.handle((KeyError, ValueError), *arguments):
            raise ValueError("why")

    assert (caught.value.code, caught.value._message) == (code, message)
    assert isinstance(caught.value.__cause__, ValueError)


def test_handle_lets_other_exceptions_pass() -> None:
    """And success."""
    with HTTPError.handle(KeyError, 404):
        reached = True
    with pytest.raises(OSError, match="other"), HTTPError.handle(KeyError, 404):
        raise OSError("other")

    assert reached


def test_the_tree_of_errors() -> None:
    """All that a page may raise is a CherryPyException; NotFound is an HTTPError."""
    raised = (cherrypy.HTTPError, cherrypy.HTTPRedirect, cherrypy.InternalRedirect, cherrypy.NotFound)

    assert all(issubclass(one, cherrypy.CherryPyException) for one in raised)
    assert issubclass(cherrypy.NotFound, cherrypy.HTTPError)
    assert not issubclass(cherrypy.HTTPRedirect, cherrypy.HTTPError)
