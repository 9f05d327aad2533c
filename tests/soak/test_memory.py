"""Mixed traffic for a long time: memory stays flat, and afterwards everything is as it was."""

from __future__ import annotations

import statistics
import time

import pytest

from .conftest import IS_FULL, SECONDS, Served
from .traffic import PLAYS, mixed_traffic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 120)]

TRAFFIC_S = SECONDS if IS_FULL else 8.0
#: Pools, tables of known lines and the allocator fill up first.
WARM_UP_S = min(60.0, TRAFFIC_S / 2)
#: Growth allowed between the first and the last quarter of the time that counts: buffers of the clients that happen
#: to be there. A leak of one kibibyte a connection would be tens of mebibytes.
ALLOWED_BYTES = 8 * 1048576
BACK_TO_START_S = 15


def test_memory_stays_flat(served: Served) -> None:
    """Resident memory by its medians; connections, descriptors and threads by their numbers."""
    threads, descriptors = served.process.num_threads(), served.process.num_fds()
    samples = []
    with mixed_traffic(served.port) as played:
        start = time.monotonic()
        while (elapsed := time.monotonic() - start) < TRAFFIC_S:
            time.sleep(min(1.0, TRAFFIC_S / 40))
            if elapsed > WARM_UP_S:
                samples.append(served.rss_bytes())
    quarter = max(len(samples) // 4, 1)
    grown = statistics.median(samples[-quarter:]) - statistics.median(samples[:quarter])
    print(f"\n{TRAFFIC_S:g} s: {grown / 1048576:+.1f} MiB, {dict(played)}")

    assert played["failed"] == 0, dict(played)
    assert all(played[play.__name__] for play in PLAYS)
    assert grown < ALLOWED_BYTES
    deadline = time.monotonic() + BACK_TO_START_S
    while served.stats()["connections"] > 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    counters = served.stats()
    assert counters["connections"] == 1  # the one that asks
    assert counters["threads_busy"] == 1
    assert served.process.num_threads() == threads
    assert served.process.num_fds() <= descriptors + 1
