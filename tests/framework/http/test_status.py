"""Status codes."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from cherrypy.http.status import RESPONSE_CODES, valid_status


@pytest.mark.parametrize(
    ("given", "code", "reason"),
    [
        (None, 200, "OK"),
        ("", 200, "OK"),
        (0, 200, "OK"),
        (404, 404, "Not Found"),
        (HTTPStatus.NOT_FOUND, 404, "Not Found"),
        ("404 No such book", 404, "No such book"),
        ("299", 299, ""),
        (413, 413, "Request Entity Too Large"),
    ],
)
def test_statuses_are_completed(given: object, code: int, reason: str) -> None:
    """Reasons are CherryPy's, whatever the Python version calls them."""
    assert valid_status(given)[:2] == (code, reason)


def test_a_known_code_explains_itself() -> None:
    """The third part is the sentence for error pages."""
    assert valid_status(404)[2] == RESPONSE_CODES[404][1] == "Nothing matches the given URI"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("abc", "Illegal response status from server ('abc' is non-numeric)."),
        ({"hey": "hi"}, "Illegal response status from server ({'hey': 'hi'} is non-numeric)."),
        ("\u0662\u0660\u0660", "is non-numeric"),
        (99, "Illegal response status from server (99 is out of range)."),
        ("600", "(600 is out of range)"),
        (-1, "(-1 is out of range)"),
    ],
)
def test_nonsense_is_refused_with_its_value(given: object, message: str) -> None:
    """The text says what was given."""
    with pytest.raises(ValueError, match="Illegal response status") as caught:
        valid_status(given)
    assert message in str(caught.value)
