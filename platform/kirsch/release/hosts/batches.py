"""Which hosts go together."""

from __future__ import annotations

import math
from collections.abc import Sequence


def batch_size(batch: str | int, hosts: int) -> int:
    """Return how many hosts go at once: ``batch_size("25%", 10) == 2``; one at least, never more than there are.

    A share is rounded down: the rest has to bear the load.
    """
    wanted = batch if isinstance(batch, int) else math.floor(hosts * int(batch.rstrip("%")) / 100)
    return max(1, min(wanted, hosts))


def split_batches(names: Sequence[str], batch: str | int) -> tuple[tuple[str, ...], ...]:
    """Return the hosts in batches, in the order of the inventory."""
    size = batch_size(batch, len(names)) if names else 1
    return tuple(tuple(names[first : first + size]) for first in range(0, len(names), size))
