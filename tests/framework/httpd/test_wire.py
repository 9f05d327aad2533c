"""Every vector against the receiving half alone, cut in every way: what comes out does not depend on the cuts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .vectors import LIMITS, Vector, load
from .wire import cut, play

#: Headers of the PROXY protocol and TLS are read before the receiver's time.
VECTORS = [case for case in load() if case.server in ("plain", "small")]
#: Only so many empty lines in a row are forgiven, so those that begin with some do not go together.
OPEN = [case for case in VECTORS if case.open and case.server == "plain" and not case.send.startswith(b"\r\n")]


def octets(data: bytes) -> list[bytes]:
    """Every octet for itself."""
    return [data[start : start + 1] for start in range(len(data))]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in VECTORS])
def test_two_pieces_or_single_octets_make_no_difference(case: Vector) -> None:
    """Cut at every place once (a long one at 1,500 of them), and at all places: always what the vector says."""
    limits = LIMITS[case.server]
    whole = play([case.send], limits)
    requests = [event for event in whole if event[0] == "request"]
    refused = [event[1] for event in whole if event[0] == "refused"]

    assert [[event[1], event[5].decode("latin-1")] for event in requests] == [[seen[0], seen[2]] for seen in case.seen]
    assert refused == [status for status in case.allowed[-1] if status >= 400]
    assert play(octets(case.send), limits) == whole
    for place in range(1, len(case.send), 1 + len(case.send) // 1500):
        assert play(cut(case.send, [place]), limits) == whole, place


@settings(max_examples=300)
@given(st.sampled_from(VECTORS), st.lists(st.integers(0, 5000), max_size=12))
def test_random_pieces_make_no_difference(case: Vector, places: list[int]) -> None:
    """Several cuts at once."""
    limits = LIMITS[case.server]

    assert play(cut(case.send, places), limits) == play([case.send], limits)


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(OPEN), min_size=2, max_size=5),
    st.lists(st.integers(0, 5000), max_size=12),
)
def test_requests_behind_each_other_do_not_touch(cases: list[Vector], places: list[int]) -> None:
    """Vectors that leave the connection open give, in one stream, what each gives alone."""
    limits = LIMITS["plain"]
    alone = [event for case in cases for event in play([case.send], limits)]

    assert play(cut(b"".join(case.send for case in cases), places), limits) == alone


#: Each alone is refused with another status, or at another place: octets that follow one another in no good head.
FAULTS = [
    b"GET / HTTP/2.0\r\n",
    b"GET / HTTP/1.1\r\n",
    b"POST / HTTP/1.1\r\n",
    b"get / HTTP/1.1\r\n",
    b"GET /\0 HTTP/1.1\r\n",
    b"GET /" + b"x" * 70 + b" HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\x16\x03\x01",
    b"Host: a\r\n",
    b"Host: a b\r\n",
    b"X: " + b"y" * 50 + b"\r\n",
    b"X: y\r\n" * 5,
    b"X: y\n",
    b" folded\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 17\r\n",
    b"Content-Length: +5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Transfer-Encoding: chunked, gzip\r\n",
    b"Expect: 100-continue\r\n",
    b"5\r\nhello\r\n",
    b"ff\r\n",
    b"5;\r\n",
    b"0\r\n\r\n",
]


@settings(max_examples=1000)
@given(
    st.lists(st.sampled_from(FAULTS), min_size=1, max_size=8).map(b"".join),
    st.lists(st.integers(0, 500), max_size=6),
    st.sampled_from([400, 404]),
)
def test_of_several_faults_the_same_is_answered_however_the_input_is_cut(
    data: bytes, places: list[int], nul_status: int
) -> None:
    """The one that the earliest octet decides: whole, in any pieces, and octet by octet."""
    limits = replace(LIMITS["small"], nul_status=nul_status)
    by_octet = play(octets(data), limits)

    assert play([data], limits) == by_octet
    assert play(cut(data, places), limits) == by_octet


def test_of_two_faults_the_first_is_answered() -> None:
    """Not the one that is looked for first."""
    limits = LIMITS["small"]
    too_many = b"X: y\r\n" * 6
    bare = b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n"

    assert play([b"GET / HTTP/2.0\r\n" + too_many + b"\r\n"], limits) == [("refused", 505)]
    assert play([bare + too_many + b"\r\n"], limits) == [("refused", 400)]
    assert play([b"GET / HTTP/1.1\r\nHost: a\r\n" + too_many + b"\r\n"], limits) == [("refused", 431)]
