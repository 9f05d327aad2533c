"""The Range header."""

from __future__ import annotations

import pytest

from cherrypy.http.ranges import get_ranges


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        ("bytes=3-6", [(3, 7)]),
        ("bytes=2-4,-1", [(2, 5), (7, 8)]),
        ("bytes=-100", [(0, 8)]),
        ("bytes=5-", [(5, 8)]),
        ("BYTES= 1-2 , 3-", [(1, 3), (3, 8)]),
        ("bytes=0-100", [(0, 8)]),
        ("bytes=9-,1-2", [(1, 3)]),
    ],
)
def test_ranges_are_slices(value: str, ranges: list[tuple[int, int]]) -> None:
    """Against a document of 8 octets; the stop is exclusive."""
    assert get_ranges(value, 8) == ranges


@pytest.mark.parametrize("value", ["bytes=8-", "bytes=9-12", "bytes=-0"])
def test_ranges_outside_cannot_be_satisfied(value: str) -> None:
    """The answer is 416; a suffix of nothing is no range."""
    assert get_ranges(value, 8) == []


@pytest.mark.parametrize(
    "value",
    [
        None, "", "bytes", "bytes=", "bytes=,", "bytes=abc", "bytes=4-2", "bytes=-", "bytes=1-2,x", "pages=1-2",
        "bytes=+1-2", "bytes=1_0-20", "bytes=\u0661-\u0662", "bytes 1-2", "bytes=" + "9" * 100 + "-",
    ],
)  # fmt: skip
def test_what_is_malformed_is_ignored(value: str | None) -> None:
    """RFC 9110, 14.2: the whole is sent, and nobody gets a 500."""
    assert get_ranges(value, 8) is None


def test_ranges_never_ask_for_more_than_the_whole() -> None:
    """SECURITY: overlapping and countless ranges (CVE-2011-3192)."""
    assert get_ranges("bytes=0-,0-,0-", 8) is None
    assert get_ranges("bytes=" + ",".join(f"{n}-{n}" for n in range(100)), 1000) is None
    assert get_ranges("bytes=0-3,4-7", 8) == [(0, 4), (4, 8)]
