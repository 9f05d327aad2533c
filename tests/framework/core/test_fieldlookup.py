"""Looking up a field without parsing all of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cherrypy.core.fieldlookup import FieldNames, field_of, sent_fields
from cherrypy.core.rawheaders import RawHeaders, parse_headers


def request_with(*pairs: tuple[bytes, bytes]) -> Any:
    """Make what is looked at of a request; ``headers`` is there only once somebody asks, as in a real one."""

    class Request(SimpleNamespace):
        _headers: Any = None
        parsed = 0

        @property
        def headers(self) -> Any:
            self.parsed += 1
            return self._headers if self._headers is not None else self._source.parse()

    return Request(_source=RawHeaders(list(pairs), "192.0.2.1"), _message=SimpleNamespace(headers=list(pairs)))


@pytest.mark.parametrize(
    ("pairs", "parsed"),
    [
        ([], 0),
        ([(b"Referer", b"http://a/")], 0),
        ([(b"rEFERER", b"  http://a/ \t")], 0),
        ([(b"Host", b"h"), (b"referer", b"\xe9")], 0),
        ([(b"Referer", b"a"), (b"referer", b"b")], 1),
        ([(b"Referer", b"=?utf-8?q?=C3=A9?=")], 1),
    ],
)
def test_a_field_is_what_the_map_would_have(pairs: list[tuple[bytes, bytes]], parsed: int) -> None:
    """Without making it, unless the field is there twice or encoded."""
    request = request_with(*pairs)
    value = field_of(request, sent_fields(request), "Referer", b"referer", "-")

    assert value == RawHeaders(pairs).parse().get("Referer", "-")
    assert request.parsed == parsed


def test_a_map_that_is_there_is_what_counts() -> None:
    """Tools change it."""
    request = request_with((b"Range", b"bytes=0-1"))
    request._headers = parse_headers([("Referer", "other")])

    assert field_of(request, sent_fields(request), "Referer", b"referer", "-") == "other"
    assert not FieldNames("Range").any_in(request)


@pytest.mark.parametrize(("sent", "expected"), [(b"if-match", True), (b"If-Match", True), (b"Match", False)])
def test_names_are_found_in_any_case(sent: bytes, expected: bool) -> None:
    """As they came, and in the map."""
    request = request_with((b"Host", b"h"), (sent, b"*"))
    names = FieldNames("Range", "If-Match")
    as_sent = names.any_in(request)
    request._headers = request.headers

    assert as_sent is names.any_in(request) is expected


def test_requests_through_wsgi_have_a_map() -> None:
    """Their headers come as text."""
    request = request_with()
    request._message = None
    request._source = [("Range", "bytes=0-1")]
    request._headers = parse_headers(request._source)

    assert FieldNames("Range").any_in(request)
    assert field_of(request, sent_fields(request), "Range", b"range", "") == "bytes=0-1"
