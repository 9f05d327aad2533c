"""When a worker has had enough."""

from __future__ import annotations

import pytest

from kirsch.spec import Bytes, Pool
from kirsch.supervise.appetite import Vitals, find_cause, is_beyond_bearing, share_of

MIB = 2**20


@pytest.mark.parametrize(
    ("keys", "vitals", "words"),
    [
        ({}, Vitals(10**12, 10**9, 10**9, 0.0), None),
        ({"memory_soft": Bytes(100 * MIB)}, Vitals(100 * MIB, 0, 9, 0.0), None),
        ({"memory_soft": Bytes(100 * MIB)}, Vitals(100 * MIB + 1, 0, 9, 1.0), "memory_soft"),
        ({"memory_soft": Bytes(100 * MIB)}, Vitals(10**12, 0, 4.9, 1.0), None),
        ({"max_requests": 1000}, Vitals(0, 999, 0, 0.0), None),
        ({"max_requests": 1000}, Vitals(0, 1000, 0, 0.0), "max_requests"),
        ({"max_requests": 1000}, Vitals(0, 1099, 0, 1.0), None),
        ({"max_requests": 1000}, Vitals(0, 1100, 0, 1.0), "max_requests"),
        ({"max_lifetime_s": 3600.0}, Vitals(0, 0, 3601, 0.5), None),
        ({"max_lifetime_s": 3600.0}, Vitals(0, 0, 3780, 0.5), "max_lifetime_s"),
    ],
)
def test_causes(keys: dict[str, object], vitals: Vitals, words: str | None) -> None:
    """Each limit by itself, stretched by the worker's own share."""
    cause = find_cause(Pool(name="web", **keys), vitals)  # type: ignore[arg-type]

    assert cause is None if words is None else words in (cause or "")


def test_hard_memory_is_not_stretched() -> None:
    """Over it a worker is killed."""
    pool = Pool(name="web", memory_hard=Bytes(MIB))

    assert not is_beyond_bearing(pool, Vitals(MIB, 0, 0, 1.0))
    assert is_beyond_bearing(pool, Vitals(MIB + 1, 0, 0, 1.0))
    assert not is_beyond_bearing(Pool(name="web"), Vitals(10**12, 0, 0, 0.0))


def test_workers_that_start_together_do_not_end_together() -> None:
    """Their shares are spread, even if they started within one tick of each other."""
    shares = [share_of(ticks) for ticks in range(1_000_000, 1_000_008)]

    assert all(0 <= share < 1 for share in shares)
    assert len({round(share, 1) for share in shares}) >= 4
