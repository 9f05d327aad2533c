"""Every vector against the receiving half alone, cut in every way: what comes out does not depend on the cuts."""

from __future__ import annotations

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
    """Cut at every place once, and at all places: always what the vector says."""
    limits = LIMITS[case.server]
    whole = play([case.send], limits)
    requests = [event for event in whole if event[0] == "request"]
    refused = [event[1] for event in whole if event[0] == "refused"]

    assert [[event[1], event[5].decode("latin-1")] for event in requests] == [[seen[0], seen[2]] for seen in case.seen]
    if case.allowed != [[400]] or case.tail:  # else: a large body cut short, about which only the application learns
        assert refused == [status for status in case.allowed[-1] if status >= 400]
    assert play(octets(case.send), limits) == whole
    for place in range(1, len(case.send)):
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
