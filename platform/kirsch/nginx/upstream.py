"""A pool as nginx sees it: a fixed number of slots, behind which the supervisor moves the workers."""

from __future__ import annotations

import math

from kirsch.nginx.directives import Block, Directive, Expr, Value, block, directive, seconds
from kirsch.spec import HostPaths, Pool

KEEPALIVE_TIMEOUT_S = 3.0
"""How long nginx keeps an idle connection to a worker; workers wait longer, so that nginx is the one that closes."""

CONNECT_TIMEOUT_S = 2.0
ONE_RESET_IS_ENOUGH = ("max_fails=1", "fail_timeout=1s")
"""The first failure on a slot marks it for a second, in the zone that all nginx workers share.

While the kernel takes a killed worker apart its connections die one after the other, and a client that has lost one
request is sent to the next kept connection, which is about to die too. A marked slot gets nobody: of 8 clients with
POSTs, 40 kills, up to 13 requests were lost per kill with max_fails=0, never more than 8 so. Not longer than a second:
the supervisor gives the slot to a living worker within ten ms.
"""

READ_MARGIN_S = 5.0
"""nginx waits this much longer than the pool's request deadline, so that the worker's own answer comes first."""


def upstream_name(pool: str) -> str:
    """The name in ``proxy_pass http://NAME``, and in ``uwsgi_pass``."""
    return f"pool_{pool}"


def upstream(pool: Pool, paths: HostPaths) -> Block:
    """The ``upstream`` block of *pool*: all slots up to its maximum, whether a worker is behind them or not.

    Explicit on every version: since 1.29.7 connections are kept by default, before they are not.
    """
    slots = pool.workers.max
    return block(
        "upstream",
        upstream_name(pool.name),
        body=[
            directive("zone", f"kirsch_{pool.name}", "256k" if slots > 64 else "64k"),
            # before `keepalive`: until 1.29.7 a balancer after it is refused
            directive("least_conn"),
            *[
                directive("server", f"unix:{paths.slot_socket(pool.name, slot)}", *ONE_RESET_IS_ENOUGH)
                for slot in range(1, slots + 1)
            ],
            # asked only when every slot is marked or has refused: the milliseconds between a death and the moved link
            directive("server", f"unix:{paths.holding_socket(pool.name)}", "backup", "max_fails=0"),
            *(_kept(slots) if pool.protocol == "http" else []),
        ],
    )


def _kept(slots: int) -> list[Directive]:
    return [
        directive("keepalive", min(1024, max(64, 8 * slots))),
        directive("keepalive_timeout", seconds(KEEPALIVE_TIMEOUT_S)),
        directive("keepalive_requests", "10000"),
    ]


def said_to(pool: Pool, what: str, *values: Value) -> Directive:
    """A directive about the way to *pool*: ``proxy_WHAT``, or ``uwsgi_WHAT`` where it speaks that protocol."""
    return directive(f"{'uwsgi' if pool.protocol == 'uwsgi' else 'proxy'}_{what}", *values)


def refuse_redirects(pool: Pool | None = None) -> Directive:
    """What a location says whose answers may not send nginx elsewhere, to files or to other locations."""
    what = ("ignore_headers", "X-Accel-Redirect")
    return said_to(pool, *what) if pool else directive(f"proxy_{what[0]}", what[1])


def pass_to(pool: Pool, wait_s: float | None = None, to: Expr | None = None, target: str = "") -> list[Directive]:
    """What a location says to hand its requests to *pool*, and to wait *wait_s* for it (None: its deadline).

    *to* is the name of another upstream than the pool's, *target* another target than the request's.
    """
    wait = seconds(pool.request_deadline_s + READ_MARGIN_S if wait_s is None else wait_s)
    name = to.text if to else upstream_name(pool.name)
    # no URI part: the raw path goes through, "%2F" stays "%2F"; in the other protocol it is a variable
    place = Expr(name if pool.protocol == "uwsgi" else f"http://{name}{target}")
    return [
        said_to(pool, "next_upstream_tries", tries(pool)),
        said_to(pool, "read_timeout", wait),
        said_to(pool, "send_timeout", wait),
        said_to(pool, "pass", place),
    ]


def tries(pool: Pool) -> int:
    """How many slots one request may try: one more than a dead worker can stand behind while a sibling boots.

    Then the others share the slots of both. A lone survivor of two has them all, and the try behind them all is the
    holding server's.

    ======  ====  ========================================  =====
    min     max   slots of one worker, with a sibling away  tries
    ======  ====  ========================================  =====
    2       2     2                                         3
    2       8     8                                         9
    4       8     3                                         4
    1       1     1                                         2
    ======  ====  ========================================  =====

    No more than that: a GET that kills its worker is tried again too, and must not kill them all.
    """
    return math.ceil(pool.workers.max / max(1, pool.workers.min - 1)) + 1
