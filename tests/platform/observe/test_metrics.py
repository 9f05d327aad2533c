"""Metrics: what Prometheus reads is what the scoreboard says."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kirsch.observe.metrics import render_metrics
from kirsch.observe.view import PoolView, StackView, WorkerView
from kirsch.scoreboard import Counters, Scoreboard


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
