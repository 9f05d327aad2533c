"""Which answers were taken already."""

from __future__ import annotations

import pytest

from cherrypy.lib.noncecounts import NonceCounts


def test_remembered_nonces_are_bounded() -> None:
    """SECURITY: the memory is not the client's to fill."""
    counts = NonceCounts()
    counts.limit = 10
    for number in range(100):
        assert counts.use(str(number), "1")

    assert len(counts._used) == 10
    assert not counts.use("99", "1")


def test_a_count_is_taken_once_for_each_nonce() -> None:
    """SECURITY: replay; in whatever order they come, and however they are written."""
    counts = NonceCounts()

    assert [counts.use("a", count) for count in ("0000000a", "00000001", "0000000A", "a")] == [True, True, False, False]
    assert counts.use("b", "0000000a")


@pytest.mark.parametrize("count", ["", "x", "\u0663", "1.5", "0x1", "1_0", "+1", " 1", "1" * 17])
def test_what_is_no_number_is_refused(count: str) -> None:
    """Never an error."""
    assert NonceCounts().use("a", count) is False


def test_one_nonce_has_so_many_counts() -> None:
    """SECURITY: then its client gets a new one."""
    counts = NonceCounts()
    counts.limit = 3

    assert [counts.use("a", str(number)) for number in range(5)] == [True, True, True, False, False]
