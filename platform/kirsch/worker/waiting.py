"""How long a request was under way from nginx to the thread that took it: in queues of the kernel's and the server's.

nginx says in ``X-Request-Start`` when it passed the request on; worker and nginx share a machine, and its clock.
"""

from __future__ import annotations

from time import time

#: Each thread measures one request in so many nanoseconds: enough for a mean of a second, and next to no cost.
EVERY_NS = 20_000_000
#: A clock that was set meanwhile says nothing.
LONGEST_S = 600.0


def measure_wait(started: str) -> int | None:
    """Return the nanoseconds since *started* (``t=1700000000.123``); None if that is no such moment.

    >>> measure_wait("yesterday") is None
    True
    """
    try:
        wait_s = time() - float(started.removeprefix("t="))
    except ValueError:
        return None
    # nginx's clock is that of its last look at its events, some milliseconds old at most
    return int(wait_s * 1e9) if 0.0 <= wait_s <= LONGEST_S else None
