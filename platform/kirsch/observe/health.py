"""Health of a stack, as balancers and people ask for it: pools, workers and every check of their applications."""

from __future__ import annotations

from typing import Any

from kirsch.observe.view import PoolView, StackView, WorkerView, check_to_status


def describe_health(view: StackView) -> dict[str, Any]:
    """Return what ``/readyz`` says of a stack: ``{"ready": true, "state": "degraded", "pools": [...], ...}``."""
    return {
        "ready": view.is_ready,
        "state": state_of(view),
        "stack": view.stack,
        "release": view.release,
        "generation": view.generation,
        "nginx": None if view.nginx is None else "running" if view.nginx.get("pid") else "not running",
        "degraded": list(view.degraded),
        "pools": [_pool(pool) for pool in view.pools],
    }


def state_of(view: StackView) -> str:
    """Say how a stack is: ``passing``, ``degraded``, or ``failing`` when somebody gets no answer."""
    if not view.is_ready:
        return "failing"
    return "degraded" if view.degraded else "passing"


def has_started(view: StackView) -> bool:
    """True once every pool has had a worker that serves."""
    return all(pool.ready or pool.counters.finished for pool in view.pools)


def _pool(pool: PoolView) -> dict[str, Any]:
    return {
        "name": pool.name,
        "ready": pool.ready,
        "wanted": pool.wanted,
        "paused": pool.is_paused,
        "workers": [_worker(worker) for worker in pool.workers],
    }


def _worker(worker: WorkerView) -> dict[str, Any]:
    return {
        "name": worker.name,
        "state": worker.state,
        "in_rotation": bool(worker.slots),
        "ill": worker.is_ill,
        "since": worker.since,
        "checks": [check_to_status(check) for check in worker.checks],
    }
