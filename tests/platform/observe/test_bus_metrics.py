"""Metrics of the bus between processes."""

from __future__ import annotations

from typing import Any

from kirsch.observe.metrics import render_metrics
from kirsch.observe.view import StackView


def view(**bus: Any) -> StackView:
    return StackView(stack="shop", release="r1", generation=1, pid=1, started=0.0, pools=(), bus=bus)


def test_members_messages_and_what_was_dropped() -> None:
    """Who is there, whether other hosts are reached, what became of messages, who said something wrong."""
    text = render_metrics(
        lambda: view(
            members=[{"id": "web.1"}, {"id": "web.2"}],
            degraded="Redis is away",
            leases={"job": {}},
            queued={"web.1": 3, "web.2": 4},
            counted={"messages": 10, "deliveries": 19, "timed_out": 1},
            wrong={"bad_frame": 5},
        )
    ).decode()

    assert "kirsch_bus_members 2.0" in text
    assert "kirsch_bus_degraded 1.0" in text
    assert "kirsch_bus_leases 1.0" in text
    assert "kirsch_bus_queued 7.0" in text
    assert 'kirsch_bus_messages_total{outcome="deliveries"} 19.0' in text
    assert 'kirsch_bus_messages_total{outcome="failed"} 0.0' in text
    assert 'kirsch_bus_wrong_total{kind="bad_frame"} 5.0' in text


def test_without_a_bus_nothing_is_said() -> None:
    """Views of before do not know it."""
    assert "kirsch_bus" not in render_metrics(view).decode()
