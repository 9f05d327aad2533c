"""What nginx tells, counted."""

from __future__ import annotations

from kirsch.observe.accesslog import AccessLine
from kirsch.observe.nginx_metrics import NginxTally, StubStatus, nginx_families, parse_stub_status

STUB = "Active connections: 3 \nserver accepts handled requests\n 16 15 31 \nReading: 0 Writing: 1 Waiting: 2 \n"


def samples(tally: NginxTally) -> dict[tuple[str, ...], float]:
    """Every sample by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in nginx_families(tally.snapshot())
        for sample in family.samples
    }


def test_requests_are_counted_by_vhost_and_upstream() -> None:
    """With retries, the cache, octets and causes."""
    tally = NginxTally()
    tally.add(
        AccessLine(vhost="a", status="200", upstream="x, y", upstream_status="502, 200", body_bytes="7", cache="MISS")
    )
    tally.add(AccessLine(vhost="a", status="403", duration_s="0.002", upstream="-"))
    tally.add(None)
    tally.blame("denied_by_address")
    found = samples(tally)

    assert found["kirsch_nginx_requests_total", "a", "200", "200"] == 1
    assert found["kirsch_nginx_requests_total", "a", "403", "none"] == 1
    assert found["kirsch_nginx_retries_total", "a"] == 1
    assert found["kirsch_nginx_sent_bytes_total", "a"] == 7
    assert found["kirsch_nginx_cache_total", "a", "miss"] == 1
    assert found["kirsch_failures_total", "denied_by_address"] == 1
    assert found["kirsch_nginx_log_lines_total", "malformed"] == 1
    assert found["kirsch_nginx_request_duration_seconds_bucket", "a", "0.001"] == 1
    assert found["kirsch_nginx_request_duration_seconds_count", "a"] == 2


def test_series_are_bounded() -> None:
    """Beyond the limit all are one."""
    tally = NginxTally(series_limit=2)
    for number in range(10):
        tally.add(AccessLine(vhost=f"v{number}", status="200"))

    assert len(tally.snapshot().requests) == 3
    assert tally.snapshot().requests["overflow", "overflow", "overflow"] == 8


def test_what_nginx_counted_and_nobody_heard_was_dropped() -> None:
    """What is under way counts as heard; a restart of nginx begins anew."""
    tally = NginxTally()
    first = parse_stub_status(STUB)
    assert first == StubStatus(16, 15, 31, 3, 0, 1, 2)
    tally.see_status(first)
    for _ in range(6):
        tally.add(AccessLine(status="200"))
    tally.see_status(StubStatus(16, 15, 41, 3, 0, 1, 2))
    dropped = tally.snapshot().dropped
    tally.see_status(StubStatus(1, 1, 1, 1, 0, 1, 0))
    tally.see_status(StubStatus(1, 1, 2, 1, 0, 1, 0))

    assert dropped == 3
    assert tally.snapshot().dropped == 3
    assert parse_stub_status("<html>404</html>") is None
