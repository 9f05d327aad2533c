"""Requests in the uwsgi protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.link.uwsgi import HEAD_BYTES, ask, pack, size_of, unpack

text = st.text(st.characters(max_codepoint=255), max_size=40)


@given(st.dictionaries(text, text, max_size=20))
def test_what_is_packed_is_unpacked(variables: dict[str, str]) -> None:
    """In any letters, with the size in its head, and with a body behind."""
    request = pack(variables)

    assert size_of(request) == len(request) - HEAD_BYTES
    assert unpack(request + b"a body") == variables


@given(st.binary(max_size=80))
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    """Nothing else happens."""
    try:
        variables = unpack(b"\0" + data)
    except ValueError:
        return
    assert all(isinstance(value, str) for value in variables.values())


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_request_that_is_cut_is_refused(cut: int) -> None:
    """Wherever."""
    with pytest.raises(ValueError, match="whole"):
        unpack(pack({"A": "b"})[:-cut])


def test_http_is_told_apart_by_its_first_octet() -> None:
    """No method begins with it."""
    assert size_of(b"GET / HTTP/1.1\r\n") is None
    assert size_of(b"\0") is None


def test_a_question_says_where_and_of_whom() -> None:
    """Path and query apart, fields by their names in an environment."""
    assert unpack(ask("/a%20b?c=d", {"Host": "h", "X-Forwarded-For": "192.0.2.1"})) == {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/a%20b?c=d",
        "PATH_INFO": "/a%20b",
        "QUERY_STRING": "c=d",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "h",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "h",
        "HTTP_X_FORWARDED_FOR": "192.0.2.1",
    }


def test_more_than_fits_is_refused() -> None:
    """The size has two octets."""
    with pytest.raises(ValueError, match="65535"):
        pack({"A": "b" * 70000})
