"""Metrics: what Prometheus reads is what the scoreboard says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kirsch.observe.metrics import render, render_metrics
from kirsch.observe.metrics.handlers import by_page, cap
from kirsch.observe.view import PoolView, StackView, WorkerView
from kirsch.scoreboard import Counters, Handled, Handler, Scoreboard


def make_view(counters: Counters | None = None, **fields: object) -> StackView:
    worker = WorkerView(
        name="web.1", state="ready", pid=7, slots=(1, 2), rss_bytes=1000, counters=counters or Counters()
    )
    pool = PoolView(
        name="web",
        engine="native",
        slots=2,
        workers=(worker, WorkerView(name="web.2", state="failed", report={"message": "<no>"})),
        counters=counters or Counters(),
        restarts={"SIGKILL": 3},
        lost=2,
    )
    values = {
        "stack": "shop",
        "release": "r1",
        "generation": 4,
        "pid": 1,
        "started": 1000.0,
        "pools": (pool,),
        "nginx": {"pid": 9, "listen": ["http://127.0.0.1:8080/"], "version": "1.22.1"},
        "rolls": {"done": 2, "failed": 1},
    }
    return StackView(**values | fields)  # type: ignore[arg-type]


def samples(view: StackView) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = render_metrics(lambda: view).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_are_those_of_the_scoreboard(tmp_path: Path) -> None:
    """By class; the histogram is cumulative and ends in the count."""
    board = Scoreboard.create(str(tmp_path / "b"), 1, 2)
    row = board.writer(1).row()
    for status_class in (2, 2, 2, 5):
        row.finish(row.begin(b"GET /"), status_class)
    found = samples(make_view(board.totals()))

    assert found["kirsch_requests_total", (("pool", "web"), ("status", "2xx"))] == 3
    assert found["kirsch_requests_total", (("pool", "web"), ("status", "5xx"))] == 1
    assert found["kirsch_request_duration_seconds_bucket", (("le", "+Inf"), ("pool", "web"))] == 4
    assert found["kirsch_request_duration_seconds_count", (("pool", "web"),)] == 4
    assert found["kirsch_request_duration_seconds_sum", (("pool", "web"),)] > 0


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("kirsch_workers", (("pool", "web"), ("state", "ready")), 1),
        ("kirsch_workers", (("pool", "web"), ("state", "failed")), 1),
        ("kirsch_workers", (("pool", "web"), ("state", "parked")), 0),
        ("kirsch_workers_wanted", (("pool", "web"),), 0),
        ("kirsch_pool_load", (("pool", "web"),), 0),
        ("kirsch_worker_restarts_total", (("cause", "SIGKILL"), ("pool", "web")), 3),
        ("kirsch_worker_slots", (("pool", "web"), ("worker", "web.1")), 2),
        ("kirsch_worker_resident_memory_bytes", (("pool", "web"), ("worker", "web.1")), 1000),
        ("kirsch_requests_lost_total", (("pool", "web"),), 2),
        ("kirsch_rolls_total", (("outcome", "failed"),), 1),
        ("kirsch_nginx_up", (), 1),
        ("kirsch_stack_ready", (), 1),
        ("kirsch_stack_info", (("generation", "4"), ("release", "r1"), ("stack", "shop")), 1),
    ],
)
def test_the_stack_is_described(name: str, labels: tuple[tuple[str, str], ...], value: float) -> None:
    """Workers, restarts, slots, memory, rolls, nginx."""
    assert samples(make_view())[name, labels] == value


def test_a_scrape_looks_once() -> None:
    """One view a scrape: its numbers belong together."""
    looks = []
    render_metrics(lambda: looks.append(1) or make_view())  # type: ignore[func-returns-value]

    assert looks == [1]


def test_a_large_stack_is_scraped_in_time(tmp_path: Path) -> None:
    """64 workers with 100 handlers each: under 200 ms, from the boards to the text."""
    board = Scoreboard.create(str(tmp_path / "b"), 64, 4)
    for number in range(1, 65):
        writer = board.writer(number)
        writer.introduce(seat=number, generation=1, release="r")
        row = writer.row()
        for page in range(100):
            began = row.begin(b"GET /", b"abc")
            row.handled_by(writer.number(Handler("shop", f"Root.page{page}", "GET", "shop.py: Root.page")))
            row.finish(began, 2, 10)

    def look() -> StackView:
        done, harvest = board.survey()
        workers = tuple(
            WorkerView(name=f"web.{at}", state="ready", pid=os.getpid(), counters=board.read(at).counters)
            for at in range(1, 65)
        )
        pool = PoolView(
            name="web",
            engine="native",
            slots=64,
            workers=workers,
            counters=harvest.counters(done),
            handled=harvest.handled(),
        )
        return make_view(pools=(pool,))

    took = []
    for _ in range(5):
        began_at = time.process_time()
        text = render_metrics(look)
        took.append(time.process_time() - began_at)

    assert (
        b'kirsch_handler_requests_total{app="shop",handler="Root.page99",method="GET",pool="web",status="2xx"} 64.0'
        in text
    )
    # of the processor: how long others have it says nothing of us
    assert min(took) < 0.2


def test_openmetrics_has_exemplars(tmp_path: Path) -> None:
    """For who asks for it; the bucket is the one that the request fell in."""
    board = Scoreboard.create(str(tmp_path / "b"), 1, 2)
    row = board.writer(1).row()
    row.begin(b"GET /", b"5f0c")
    row.finish(time.monotonic_ns() - 30_000_000, 2)
    done, harvest = board.survey()
    pool = PoolView(name="web", engine="native", slots=1, workers=(), handled=harvest.handled())
    text, kind = render(lambda: make_view(pools=(pool,)), "application/openmetrics-text; version=1.0.0")
    exemplars = [line for line in text.decode().splitlines() if " # {" in line]

    assert kind.startswith("application/openmetrics-text")
    assert done.finished == 1
    assert len(exemplars) == 1
    assert 'request_id="5f0c"' in exemplars[0]


def test_handlers_have_a_limit() -> None:
    """What is beyond is one handler; nothing is lost."""
    handled = [Handled(Handler("a", f"p{number}", "GET"), 1.0, 2, (1,) * 75) for number in range(20)]
    shown = by_page(cap(handled, 5))

    assert len(shown) == 5
    assert sum(sum(one.answers) for one in shown.values()) == 20 * 75
    assert shown[Handler("(other)", "(other)")].body_bytes == 32
