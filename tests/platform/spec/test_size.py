"""Sizes as the operator writes them."""

from __future__ import annotations

import pytest

from kirsch.spec import Bytes


@pytest.mark.parametrize(
    ("text", "octets"),
    [(0, 0), (4096, 4096), ("4096", 4096), ("1B", 1), ("400MiB", 400 * 2**20), ("1.5 GB", 15 * 10**8), ("2gib", 2**31)],
)
def test_a_size_is_read(text: object, octets: int) -> None:
    """Numbers, and text with a unit."""
    assert Bytes.parse(text) == octets


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1", "4 apples", "4  MiB", "1e3", "٤", "4MiB\n", -1, 1.5, True, None, [1]]
)
def test_what_is_no_size_is_refused(text: object) -> None:
    """The rule is the error's text."""
    with pytest.raises(ValueError, match="number of octets"):
        Bytes.parse(text)


@pytest.mark.parametrize("octets", [0, 1, 1000, 1024, 400 * 2**20, 2**31, 3 * 2**30 + 1])
def test_a_size_prints_so_that_it_can_be_read_again(octets: int) -> None:
    """Round trip."""
    assert Bytes.parse(str(Bytes(octets))) == octets
