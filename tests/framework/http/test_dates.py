"""HTTP dates."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from cherrypy.http.dates import HTTPDate, parse_date


def test_dates_are_written_in_the_form_of_today() -> None:
    """Also for fractions of a second, twice in a row, and for now."""
    assert HTTPDate(784111777) == HTTPDate(784111777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert HTTPDate(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert HTTPDate(1e9) == formatdate(1e9, usegmt=True)
    assert abs((parse_date(HTTPDate()) or 0) - time.time()) < 5


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_three_forms_are_read(text: str) -> None:
    """RFC 9110, 5.6.7."""
    assert parse_date(text) == 784111777


def test_two_digits_of_a_year_are_near() -> None:
    """26 is 2026, 94 is 1994."""
    assert HTTPDate(parse_date("Saturday, 21-Nov-26 00:00:00 GMT")) == "Sat, 21 Nov 2026 00:00:00 GMT"


def test_a_leap_second_is_the_end_of_its_minute() -> None:
    """:60 is valid on the wire."""
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT") == parse_date("Sat, 31 Dec 2016 23:59:59 GMT")


@pytest.mark.parametrize(
    "text",
    [
        None, "", "junk", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT" + "x" * 100,
    ],
)  # fmt: skip
def test_junk_is_no_date(text: str | None) -> None:
    """It is ignored, as the RFC asks."""
    assert parse_date(text) is None
