"""Query strings."""

from __future__ import annotations

import pytest

from cherrypy.http.query import parse_query_string, unquote_plus


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("", {}),
        ("a=1&b=&c&a=2", {"a": ["1", "2"], "b": "", "c": ""}),
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("=3&a%20b=%zz+c&&", {"": "3", "a b": "%zz c"}),
        ("x=%C3%BC", {"x": "\xfc"}),
        ("a=b=c", {"a": "b=c"}),
        ("1,2", {"x": 1, "y": 2}),
        ("1,2&a=1", {"1,2": "", "a": "1"}),
    ],
)
def test_pairs_are_read(query: str, params: dict[str, object]) -> None:
    """Names without values, repeats, and clicks on image maps."""
    assert parse_query_string(query) == params


def test_blank_values_can_be_dropped() -> None:
    """``keep_blank_values=False``."""
    assert parse_query_string("a=1&b=&c", keep_blank_values=False) == {"a": "1"}


def test_only_the_ampersand_separates() -> None:
    """SECURITY: a cache in front that splits at & alone would see other parameters (class of CVE-2021-23336)."""
    assert parse_query_string("a=1;b=2") == {"a": "1;b=2"}
    assert parse_query_string("a=1;b=2&c=3", separators="&;") == {"a": "1", "b": "2", "c": "3"}


def test_another_charset() -> None:
    """``encoding`` is that of the octets behind the percent signs."""
    assert parse_query_string("a=%FC", encoding="latin-1") == {"a": "\xfc"}
    with pytest.raises(UnicodeDecodeError):
        parse_query_string("a=%FC")


def test_form_octets_are_decoded() -> None:
    """Plus signs are spaces unless they are written %2B."""
    assert unquote_plus(b"a+b%2Bc%zz") == b"a b+c%zz"
