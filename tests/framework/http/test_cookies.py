"""Cookies as clients send them."""

from __future__ import annotations

import http.cookies
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cherrypy.http.cookies import RequestCookie, unquote


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("plain", "plain"),
        ('"quoted"', "quoted"),
        (r'"a\"b\\c"', r'a"b\c'),
        (r'"\054\073"', ",;"),
        (r'"\303\251"', "\u00c3\u00a9"),
        (r'"\9\400"', "9400"),
        ('"', '"'),
        ('""', ""),
        ('"open', '"open'),
        ('"\\"', "\\"),
    ],
)
def test_quoted_values_are_resolved(sent: str, value: str) -> None:
    """Octal escapes below 256, and whatever else stands behind a backslash."""
    assert unquote(sent) == value


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_what_the_standard_library_quotes_comes_back(value: str) -> None:
    """Any text in latin-1."""
    jar: http.cookies.SimpleCookie = http.cookies.SimpleCookie()

    assert unquote(jar.value_encode(value)[1]) == value


@given(st.text('\\"01234a', max_size=12))
def test_values_are_read_as_the_standard_library_reads_them(inside: str) -> None:
    """Escapes of every kind, complete or not."""
    plain: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    sent = f'"{inside}"'

    assert RequestCookie().value_decode(sent) == plain.value_decode(sent)


def test_cookies_are_read_into_morsels() -> None:
    """With their coded values."""
    cookie = RequestCookie('a=1; b="x\\"y"; c=')

    assert {name: (morsel.value, morsel.coded_value) for name, morsel in cookie.items()} == {
        "a": ("1", "1"),
        "b": ('x"y', r'"x\"y"'),
        "c": ("", ""),
    }
    assert isinstance(cookie, http.cookies.SimpleCookie)


@pytest.mark.parametrize("neighbour", ["bad[=x", "=x", "novalue", "a=\xe9", "expires=1", "x={1}", ""])
@pytest.mark.parametrize("order", ["{0}; b=1; b=2", "b=1; {0}; b=2", "b=2; {0}"])
def test_a_malformed_neighbour_costs_nothing(neighbour: str, order: str) -> None:
    """Cookies of other software on the host hide none of ours; of two of one name the last counts, as ever."""
    assert RequestCookie(order.format(neighbour))["b"].value == "2"


def test_a_semicolon_between_quotes_separates_nothing() -> None:
    """SECURITY: a value must not become a cookie."""
    assert "b" not in RequestCookie('a="x; b=2"; bad[=x')


@pytest.mark.parametrize("piece", ["\\", '\\"', "\\1", "\\012", "\\x"])
def test_a_cookie_full_of_escapes_costs_linear_time(piece: str) -> None:
    """SECURITY: CVE-2024-7592; 32 KiB took 3.5 seconds."""
    value = 'a="' + piece * (32_000 // len(piece)) + '"'
    before = time.process_time()
    RequestCookie(value)

    assert time.process_time() - before < 0.5
