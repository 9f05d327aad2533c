"""What `kirsch top` makes of two looks at a stack."""

from __future__ import annotations

import io
import os
import pty
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from kirsch.cli.top import keys
from kirsch.cli.top_screen import Frame, Rates, Sorting, describe_inside, render, sparkline
from kirsch.scoreboard import BOUNDS_S

BUCKETS = [0] * (len(BOUNDS_S) + 1)


def worker(requests: int = 0, durations: list[int] | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "name": "web.1",
        "pid": 4711,
        "state": "ready",
        "release": "r1",
        "since": None,
        "slots": [1, 2],
        "requests": requests,
        "in_flight": 1,
        "rss_bytes": 50 * 2**20,
        "durations": durations or BUCKETS,
        "is_ill": False,
        "running": [],
    } | fields


def status(*workers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the status of one pool, as the supervisor says it."""
    pool = {"name": "web", "wanted": 2, "held": 0, "paused": False, "load": 0.42, "workers": list(workers)}
    return {"stack": "shop", "release": "r1", "rolling": False, "degraded": [], "pools": [pool]} | fields


def shown(found: dict[str, Any], frame: Frame | None = None, sorting: Sorting | None = None) -> list[str]:
    frame = frame or Frame(200)
    console = Console(width=frame.width, file=io.StringIO())
    with console.capture() as captured:
        console.print(render(found, frame, sorting))
    return captured.get().splitlines()


def looked(before: dict[str, Any], after: dict[str, Any], took_s: float = 1.0) -> dict[str, Any]:
    rates = Rates()
    rates.look(before, 0.0)
    return rates.look(after, took_s)


def test_rates_are_of_the_time_between_two_looks() -> None:
    """What was before the first look does not count, nor another process of the same name."""
    rates = Rates()
    first = rates.look(status(worker(1000)), 10.0)
    second = rates.look(status(worker(1300, [290, 0, 0, 10, *BUCKETS[4:]])), 12.0)
    other = rates.look(status(worker(5, pid=4712)), 13.0)
    seen = [look["pools"][0]["workers"][0] for look in (first, second, other)]

    assert [one["rate"] for one in seen] == [None, 150.0, None]
    assert [one["p99_s"] for one in seen] == [None, pytest.approx(0.0085), None]


def test_the_longest_request_is_named() -> None:
    """By its handler if the engine says it, else by its line."""
    running = [
        {"line": "GET /", "for_s": 0.1, "handler": ""},
        {"line": "GET /report", "for_s": 41.23, "handler": "shop.web.Shop.report"},
    ]

    assert describe_inside(running) == "41.2 s shop.web.Shop.report, + 1"
    assert describe_inside(running[:1]) == "0.1 s GET /"
    assert describe_inside([]) == "-"


def test_the_picture() -> None:
    """Pool, worker, sparklines, faults."""
    found = looked(
        status(worker()),
        status(
            worker(100, [100, *BUCKETS[1:]], running=[{"line": "GET /", "for_s": 2.0}]),
            degraded=["web.2: ended"],
            recent=[[10.0, 0.0], [100.0, 2.0]],
        ),
    )
    text = "\n".join(shown(found))

    assert "web: 1 of 2 ready, 100 req/s, load 42 %" in text
    assert "▁█ 100  5xx" in text
    assert " 1.8 %  p99 1.0 ms" in text
    assert "2.0 s GET /" in text
    assert "! web.2: ended" in text
    assert "1 not well" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_it_fits_the_terminal(width: int) -> None:
    """No line is longer than the terminal is wide, none is folded; names are whole, and so are numbers."""
    running = [{"line": "GET /a/rather/long/path/of/a/page", "handler": "shop.reports.Reports.quarterly", "for_s": 9.0}]
    found = looked(
        status(worker()),
        status(worker(1234, running=running), worker(name="web.2", pid=7), recent=[[1.0, 0.0]] * 60),
    )
    lines = shown(found, Frame(width, 24))

    assert max(map(len, lines)) <= width
    assert len(lines) == 9
    assert lines[5].startswith("web.1")
    assert "1,234" in lines[5]
    assert "50 MiB" in lines[5]
    assert lines[-1].startswith("s sort (name)")


def test_many_workers_are_counted_where_there_is_no_room() -> None:
    """The last lines of the terminal are for faults and keys."""
    crowd = status(*[worker(name=f"web.{number}", pid=number) for number in range(64)], degraded=["a", "b"])
    lines = shown(looked(crowd, crowd), Frame(80, 24))

    assert len(lines) <= 24
    assert any("more" in line for line in lines)
    assert lines[-3:-1] == ["! a", "! b"]


def test_workers_are_sorted_by_what_is_asked_for() -> None:
    """``s`` takes the next order, ``r`` turns it round, other keys do nothing."""
    sorting = Sorting()
    found = looked(
        status(worker(), worker(name="web.2", pid=2)),
        status(worker(5), worker(50, name="web.2", pid=2)),
    )
    orders = []
    for key in ("", "s", "r", "x"):
        sorting.press(key)
        orders.append([line[:5] for line in shown(found, None, sorting) if line.startswith("web.")])

    assert orders == [["web.1", "web.2"], ["web.2", "web.1"], ["web.1", "web.2"], ["web.1", "web.2"]]


@pytest.mark.parametrize("order", list(Sorting.ORDERS))
def test_every_order_takes_what_there_is(order: str) -> None:
    """Workers that have done nothing yet, too."""
    found = Rates().look(status(worker(), worker(name="web.2", pid=None, running=[{"line": "G", "for_s": 1}])), 0.0)

    assert len(Sorting(order).sort(found["pools"][0]["workers"])) == 2


def test_sparklines() -> None:
    """The highest is a full block; the last ones are shown; nothing is nothing, in plain letters where it must be."""
    assert sparkline([0, 1, 2, 4], 4) == "▁▂▄█"
    assert sparkline([9, 9, 1, 1], 2) == "██"
    assert sparkline([0, 0], 4) == "  ▁▁"
    assert sparkline([], 3) == "   "
    assert sparkline([0, 4], 2, is_ascii=True) == "_#"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal at standard input; the descriptor is its other end."""
    outer, inner = pty.openpty()
    with os.fdopen(inner) as line:
        monkeypatch.setattr(sys, "stdin", line)
        yield outer
    os.close(outer)


def test_keys_are_heard(terminal: int) -> None:
    """Without Return; arrows and other long sequences are none."""
    with keys() as wait_for_key:
        nothing = wait_for_key(0.0)
        os.write(terminal, b"sr")
        pressed = wait_for_key(30.0)
        os.write(terminal, b"\x1b[A")
        arrow = wait_for_key(30.0)
        os.write(terminal, b"\x1b")
        escape = wait_for_key(30.0)

    assert (nothing, pressed, arrow, escape) == ("", "sr", "", "\x1b")
