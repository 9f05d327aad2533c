"""What `kirsch top` makes of two looks at a stack."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from kirsch.cli.top import Rates, describe_inside, percentile, render
from kirsch.scoreboard import BOUNDS_S


def status(requests: int, durations: list[int], **worker: Any) -> dict[str, Any]:
    """Return the status of one worker, as the supervisor says it."""
    one = {
        "name": "web.1",
        "pid": 4711,
        "state": "ready",
        "release": "r1",
        "since": None,
        "slots": [1, 2],
        "requests": requests,
        "in_flight": 1,
        "rss_bytes": 50 * 2**20,
        "durations": durations,
        "is_ill": False,
        "running": [],
    } | worker
    pool = {"name": "web", "wanted": 2, "held": 0, "paused": False, "load": 0.42, "workers": [one]}
    return {"stack": "shop", "release": "r1", "rolling": False, "degraded": ["web.2: ended"], "pools": [pool]}


def shown(found: dict[str, Any]) -> str:
    console = Console(width=200, file=io.StringIO())
    with console.capture() as captured:
        console.print(render(found))
    return captured.get()


def test_rates_are_of_the_time_between_two_looks() -> None:
    """What was before the first look does not count, nor another process of the same name."""
    rates = Rates()
    buckets = [0] * (len(BOUNDS_S) + 1)
    first = rates.look(status(1000, buckets), 10.0)
    second = rates.look(status(1300, [290, 0, 0, 10, *buckets[4:]]), 12.0)
    other = rates.look(status(5, buckets, pid=4712), 13.0)

    assert [look["pools"][0]["workers"][0]["rate"] for look in (first, second, other)] == [None, 150.0, None]
    assert [look["pools"][0]["workers"][0]["p99"] for look in (first, second, other)] == ["-", "10 ms", "-"]


def test_percentiles_are_bounds() -> None:
    """The bound under which the share lies; beyond all bounds it says so."""
    buckets = [0] * (len(BOUNDS_S) + 1)

    assert percentile(buckets, 0.99) == "-"
    assert percentile([99, 1, *buckets[2:]], 0.99) == "1 ms"
    assert percentile([98, 2, *buckets[2:]], 0.99) == "2.5 ms"
    assert percentile([*buckets[:-1], 1], 0.5) == "> 30 s"


def test_the_longest_request_is_named() -> None:
    """By its handler if the engine says it, else by its line."""
    running = [
        {"line": "GET /", "for_s": 0.1, "handler": ""},
        {"line": "GET /report", "for_s": 41.23, "handler": "shop.web.Shop.report"},
    ]

    assert describe_inside(running) == "shop.web.Shop.report 41.2 s, + 1"
    assert describe_inside(running[:1]) == "GET / 0.1 s"
    assert describe_inside([]) == "-"


def test_the_picture() -> None:
    """Pool, worker, faults."""
    rates = Rates()
    rates.look(status(0, []), 0.0)
    text = shown(rates.look(status(100, [], running=[{"line": "GET /", "for_s": 2.0}]), 1.0))

    assert "web: 1 of 2 ready, 100 req/s, load 42 %" in text
    assert "web.1" in text
    assert "50 MiB" in text
    assert "GET / 2.0 s" in text
    assert "! web.2: ended" in text
