"""Which hosts go together."""

from __future__ import annotations

import pytest

from kirsch.release.hosts.batches import batch_size, split_batches


@pytest.mark.parametrize(
    ("batch", "hosts", "size"),
    [("25%", 10, 2), ("25%", 3, 1), ("50%", 3, 1), ("100%", 3, 3), (2, 3, 2), (9, 3, 3), (1, 1, 1)],
)
def test_size_is_rounded_down_and_never_none(batch: str | int, hosts: int, size: int) -> None:
    """The rest has to bear the load, and a deploy has to end."""
    assert batch_size(batch, hosts) == size


def test_batches_keep_the_order_of_the_inventory() -> None:
    """Every host once."""
    assert split_batches(["b", "a", "c"], 2) == (("b", "a"), ("c",))


def test_no_host_no_batch() -> None:
    """Nothing to do is no error."""
    assert split_batches([], "25%") == ()
