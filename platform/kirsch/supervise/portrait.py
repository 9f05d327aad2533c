"""From what the supervisor holds to what it shows: a ``StackView`` of this moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from kirsch.observe.view import PoolView, StackView, WorkerView
from kirsch.scoreboard import describe_request
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.holding import HoldingServer
from kirsch.supervise.process import rss_bytes
from kirsch.supervise.seat import Seat
from kirsch.supervise.worker import Worker

if TYPE_CHECKING:
    from kirsch.supervise.supervisor import Supervisor


def portray(supervisor: Supervisor) -> StackView:
    """Return the whole stack as it is now."""
    assert supervisor.state is not None
    pools = tuple(portray_pool(fleet, supervisor.holdings.get(name)) for name, fleet in supervisor.fleets.items())
    view = StackView(
        stack=supervisor.state.stack.name,
        release=supervisor.state.release,
        generation=supervisor.generation,
        pid=os.getpid(),
        started=supervisor.started,
        pools=pools,
        nginx=supervisor.front.describe() if supervisor.front is not None else None,
        nginx_restarts=supervisor.front.restarts if supervisor.front is not None else 0,
        admin=supervisor.admin_url,
        log_dir=supervisor.paths.log_dir,
        rolls=dict(supervisor.rolls),
        is_rolling=supervisor.is_rolling,
        events=tuple(supervisor.events.recent),
        certificates=supervisor.certificates.expiries(supervisor.state.stack),
        bus=supervisor.bus.describe(),
        traffic=supervisor.traffic.snapshot() if supervisor.front is not None else None,
        past=supervisor.chronicle.history.past(),
        deploys=supervisor.chronicle.deploys.last(),
        failures=supervisor.chronicle.failures.last(),
        configuration=supervisor.chronicle.effective.of(supervisor.state.stack),
    )
    faults = list(find_faults(view)) + supervisor.bus.faults()
    if supervisor.front is not None and supervisor.front.problem is not None:
        faults.append(f"nginx: {supervisor.front.problem}")
    if supervisor.roll_problem is not None:
        faults.append(supervisor.roll_problem)
    if supervisor.admin_problem is not None:
        faults.append(f"admin endpoint: {supervisor.admin_problem}")
    return replace(view, degraded=tuple(faults))


def portray_pool(fleet: Fleet, holding: HoldingServer | None) -> PoolView:
    """Return the view of one pool: its seats in order, then those who drain."""
    slots: dict[str, list[int]] = {}
    for slot, socket in fleet.slots.targets().items():
        slots.setdefault(socket, []).append(slot)
    views = [_seat(fleet, seat, slots) for _, seat in sorted(fleet.seats.items())]
    others = sorted({*fleet.retiring, *fleet.booting, *fleet.benched.values()}, key=lambda worker: worker.started)
    views += [_worker(worker, slots, 0, _state_of_other(fleet, worker)) for worker in others if not worker.is_gone]
    counters, handled = fleet.survey()
    return PoolView(
        name=fleet.pool,
        engine=fleet.spec.engine,
        slots=fleet.slots.count,
        workers=tuple(views),
        counters=counters,
        restarts=dict(fleet.restarts),
        lost=fleet.lost_requests,
        held=holding.held if holding else 0,
        refused=holding.refused if holding else 0,
        wanted=fleet.wanted,
        is_fixed=fleet.is_fixed,
        is_paused=fleet.is_paused,
        load=fleet.load,
        queue_s=fleet.queue_s,
        alerts=dict(fleet.alerts.counts),
        drains=dict(fleet.retirement.outcomes),
        handled=handled,
        metrics_dir=fleet.site.paths.app_metrics(fleet.pool),
    )


def _state_of_other(fleet: Fleet, worker: Worker) -> str:
    """Say what a worker without a seat does: one that waits in case that its successor fails is on standby."""
    if worker in fleet.retirement.quarantined:
        return "quarantined"
    return "standby" if worker in fleet.benched.values() else worker.state


def _seat(fleet: Fleet, seat: Seat, slots: Mapping[str, list[int]]) -> WorkerView:
    if seat.worker is not None:
        is_out = seat.is_out and seat.worker.state == "ready"
        return _worker(seat.worker, slots, seat.restarts, "drained" if is_out else seat.worker.state)
    state = "parked" if seat.backoff.is_parked else "failed" if seat.last_failure is not None else "booting"
    return WorkerView(
        name=f"{fleet.pool}.{seat.number}",
        state=state,
        generation=fleet.generation,
        release=fleet.state.release,
        restarts=seat.restarts,
        report=seat.last_failure,
    )


def _worker(worker: Worker, slots: Mapping[str, list[int]], restarts: int, state: str) -> WorkerView:
    record = worker.board.read(worker.order.record)
    return WorkerView(
        name=worker.name,
        state=state,
        pid=worker.pid,
        generation=worker.order.generation,
        release=worker.order.release,
        since=worker.since,
        slots=tuple(slots.get(worker.socket or "", ())),
        counters=record.counters,
        rss_bytes=rss_bytes(worker.pid),
        restarts=restarts,
        is_ill=worker.is_ill,
        running=record.running,
        note=record.note,
        checks=record.checks,
        started=record.started,
        collections=record.collections,
    )


def describe_briefly(view: StackView) -> str:
    """Say the state of a stack in one line: ``release r2; web 2 of 2``."""
    pools = ", ".join(f"{pool.name} {pool.ready} of {pool.wanted}" for pool in view.pools)
    return f"release {view.release}; {pools}" + (f"; {view.degraded[0]}" if view.degraded else "")


def find_faults(view: StackView) -> tuple[str, ...]:
    """Say what is not as it should be, a sentence each."""
    faults = []
    for name, held in ((view.nginx or {}).get("held") or {}).items():
        does = "is as it was before" if held["serves"] == "last good" else "answers nobody"
        faults.append(f"vhost {name} {does}; nginx refuses it: {' '.join(held['lines'][:1])}")
    for pool in view.pools:
        if pool.is_paused:
            faults.append(f"pool {pool.name}: paused; requests wait")
        elif not pool.ready:
            faults.append(f"pool {pool.name}: no worker serves; requests wait")
        for worker in pool.workers:
            why = str((worker.report or {}).get("message") or (worker.report or {}).get("step") or "")
            if worker.state in {"failed", "parked"}:
                loop = ", again and again: tried once a minute" if worker.state == "parked" else ""
                faults.append(f"{worker.name}: {why or 'ended'}{loop}")
            elif worker.state == "quarantined":
                waits = ", ".join(
                    f"{describe_request(request.line, request.handler)} for {request.for_s:.0f} s"
                    for request in worker.running
                )
                faults.append(f"{worker.name} (process {worker.pid}) does not drain; it waits for {waits or 'clients'}")
            elif worker.state == "drained":
                faults.append(f"{worker.name}: taken out by the operator")
            elif worker.is_ill and not any(check.state == "failing" for check in worker.checks):
                faults.append(f"{worker.name}: its readiness probe fails")
            elif worker.note:
                faults.append(f"{worker.name}: {worker.note}")
            faults += [f"{worker.name}: {check.describe()}" for check in worker.checks if check.state == "failing"]
        if 2 * sum(worker.is_ill and worker.is_unwell for worker in pool.workers) > pool.ready > 0:
            faults.append(f"pool {pool.name}: most of its workers fail their checks: they serve all the same")
    return tuple(faults)
