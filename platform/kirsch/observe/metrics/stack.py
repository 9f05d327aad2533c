"""Prometheus metrics of a stack, read off one view: nothing is counted here, so nothing can leak or be lost.

Counters of ended workers are in the scoreboard's record 0, so a recycled worker takes nothing with it; labels are names
of pools, workers and causes, so their number is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from kirsch.observe.metrics.handlers import CLASSES, buckets
from kirsch.observe.nginx_metrics import nginx_families
from kirsch.observe.view import StackView
from kirsch.scoreboard import STATES

#: States that a worker does not know of itself: what its supervisor does with it.
STATES_OF_SEATS = ("parked", "standby", "drained", "quarantined")


def stack_families(view: StackView) -> Iterator[Metric]:
    """Yield what is known of the stack, its pools, its workers and its bus."""
    info = InfoMetricFamily("kirsch_stack", "What runs here.")
    info.add_metric([], {"stack": view.stack, "release": view.release, "generation": str(view.generation)})
    yield info
    yield _gauge("kirsch_stack_ready", "1 when every pool and nginx serve.", float(view.is_ready))
    yield _gauge("kirsch_stack_degraded_reasons", "Things that are not as they should be.", len(view.degraded))
    yield _gauge("kirsch_supervisor_start_time_seconds", "Unix time of the supervisor's start.", view.started)
    yield _gauge("kirsch_nginx_up", "1 when nginx runs.", float(bool(view.nginx and view.nginx.get("pid"))))
    restarts = CounterMetricFamily("kirsch_nginx_restarts", "Restarts of nginx after its death.")
    restarts.add_metric([], view.nginx_restarts)
    yield restarts
    rolls = CounterMetricFamily("kirsch_rolls", "Rolls since the supervisor's start.", labels=["outcome"])
    for outcome, count in view.rolls.items():
        rolls.add_metric([outcome], count)
    yield rolls
    yield from _requests(view)
    yield from _workers(view)
    yield from _checks(view)
    yield from _certificates(view)
    yield from _bus(view)
    if view.traffic is not None:
        yield from nginx_families(view.traffic)


def _requests(view: StackView) -> Iterator[Metric]:
    total = CounterMetricFamily("kirsch_requests", "Requests that were answered.", labels=["pool", "status"])
    duration = HistogramMetricFamily(
        "kirsch_request_duration_seconds", "From the parsed head to the finished answer.", labels=["pool"]
    )
    queue = SummaryMetricFamily(
        "kirsch_request_queue_seconds",
        "From nginx to the thread that takes a request, of those that were measured.",
        labels=["pool"],
    )
    families = {
        name: CounterMetricFamily(f"kirsch_requests_{name}", text, labels=["pool"])
        for name, text in {
            "lost": "Requests that were inside a worker when it ended.",
            "refused": "Requests that got 503 because no worker came in time.",
        }.items()
    }
    in_flight = GaugeMetricFamily("kirsch_requests_in_flight", "Requests inside workers.", labels=["pool"])
    held = GaugeMetricFamily("kirsch_requests_held", "Requests that wait for a worker.", labels=["pool"])
    octets = CounterMetricFamily(
        "kirsch_response_bytes", "Octets of bodies of answers, as far as their length was known.", labels=["pool"]
    )
    for pool in view.pools:
        octets.add_metric([pool.name], pool.counters.body_bytes)
        for label, count in zip(CLASSES, pool.counters.by_class(), strict=True):
            total.add_metric([pool.name, label], count)
        duration.add_metric([pool.name], buckets(pool.counters), pool.counters.duration_s)
        queue.add_metric([pool.name], pool.counters.waits, pool.counters.waited_s)
        families["lost"].add_metric([pool.name], pool.lost)
        families["refused"].add_metric([pool.name], pool.refused)
        in_flight.add_metric([pool.name], sum(worker.counters.in_flight for worker in pool.workers))
        held.add_metric([pool.name], pool.held)
    yield from (total, duration, octets, queue, *families.values(), in_flight, held)


def _workers(view: StackView) -> Iterator[Metric]:
    states = GaugeMetricFamily("kirsch_workers", "Workers by state.", labels=["pool", "state"])
    restarts = CounterMetricFamily(
        "kirsch_worker_restarts", "Ends of workers that nobody asked for.", labels=["pool", "cause"]
    )
    alerts = CounterMetricFamily("kirsch_alerts", "What somebody should be told of.", labels=["pool", "kind"])
    memory = GaugeMetricFamily("kirsch_worker_resident_memory_bytes", "Resident memory.", labels=["pool", "worker"])
    wanted = GaugeMetricFamily("kirsch_workers_wanted", "How many workers there shall be.", labels=["pool"])
    load = GaugeMetricFamily("kirsch_pool_load", "How busy a pool is; 1 is all that it can do.", labels=["pool"])
    slots = GaugeMetricFamily("kirsch_worker_slots", "Slots that point at a worker.", labels=["pool", "worker"])
    ill = GaugeMetricFamily("kirsch_workers_ill", "Workers whose readiness probe fails.", labels=["pool"])
    drains = CounterMetricFamily(
        "kirsch_drains", "Workers that were asked to go, by how they went.", labels=["pool", "outcome"]
    )
    for pool in view.pools:
        ill.add_metric([pool.name], sum(worker.is_ill for worker in pool.workers))
        for outcome, count in pool.drains.items():
            drains.add_metric([pool.name, outcome], count)
        for state in (*STATES[1:], *STATES_OF_SEATS):
            states.add_metric([pool.name, state], sum(worker.state == state for worker in pool.workers))
        for cause, count in pool.restarts.items():
            restarts.add_metric([pool.name, cause], count)
        for kind, count in pool.alerts.items():
            alerts.add_metric([pool.name, kind], count)
        for name in {worker.name for worker in pool.workers}:
            mine = [worker for worker in pool.workers if worker.name == name]
            memory.add_metric([pool.name, name], sum(worker.rss_bytes for worker in mine))
            slots.add_metric([pool.name, name], sum(len(worker.slots) for worker in mine))
        wanted.add_metric([pool.name], pool.wanted)
        load.add_metric([pool.name], pool.load or 0.0)
    yield from (states, ill, restarts, drains, alerts, memory, slots, wanted, load)


def _checks(view: StackView) -> Iterator[Metric]:
    names = ["pool", "worker", "check"]
    passing = GaugeMetricFamily(
        "kirsch_check_passing", "1 for a health check that passes.", labels=[*names, "critical"]
    )
    duration = GaugeMetricFamily("kirsch_check_duration_seconds", "How long the check took last.", labels=names)
    for pool in view.pools:
        for worker in pool.workers:
            for check in worker.checks:
                labels = [pool.name, worker.name, check.name]
                passing.add_metric([*labels, str(check.critical).lower()], float(check.state == "passing"))
                duration.add_metric(labels, check.duration_s)
    yield from (passing, duration)


def _certificates(view: StackView) -> Iterator[Metric]:
    expiry = GaugeMetricFamily(
        "kirsch_certificate_expiry_time_seconds", "Unix time at which a certificate ends.", labels=["vhost"]
    )
    for vhost, moment in view.certificates.items():
        expiry.add_metric([vhost], moment)
    yield expiry


def _bus(view: StackView) -> Iterator[Metric]:
    if not view.bus:
        return
    yield _gauge("kirsch_bus_members", "Workers on the bus, of all reachable hosts.", len(view.bus["members"]))
    yield _gauge("kirsch_bus_degraded", "1 while other hosts cannot be reached.", float(bool(view.bus["degraded"])))
    yield _gauge("kirsch_bus_leases", "Leases that somebody holds.", len(view.bus["leases"]))
    yield _gauge("kirsch_bus_queued", "Messages that wait for workers.", sum(view.bus["queued"].values()))
    passed = CounterMetricFamily("kirsch_bus_messages", "What became of messages.", labels=["outcome"])
    for outcome in ("messages", "deliveries", "failed", "timed_out", "dropped"):
        passed.add_metric([outcome], view.bus["counted"].get(outcome, 0))
    wrong = CounterMetricFamily("kirsch_bus_wrong", "What was dropped as it may not be said, by kind.", labels=["kind"])
    for kind, count in view.bus["wrong"].items():
        wrong.add_metric([kind], count)
    yield from (passed, wrong)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
