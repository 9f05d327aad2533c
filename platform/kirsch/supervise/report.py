"""Reports: what is known of a worker that failed, in the form that the control protocol carries."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from kirsch.link.order import WHOLE_TRACEBACK
from kirsch.supervise.process import Ending
from kirsch.supervise.worker import Worker

LAST_LINE_CHARACTERS = 300


def describe_failure(worker: Worker, lost: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the report of a worker's failure; *lost* are the requests that it was inside of."""
    ending = worker.ending or Ending()
    listening = worker.socket or worker.order.socket_path(worker.pid)
    return {
        "worker": worker.name,
        "pid": worker.pid,
        "release": worker.order.release,
        "generation": worker.order.generation,
        "state": worker.state,
        "step": worker.step,
        "steps": [{"step": step, "duration_s": round(took, 3)} for step, took in worker.steps()],
        "message": worker.message,
        "exit_status": ending.exit_status,
        "signal": ending.signal,
        # the traceback stands there whole; what follows it is in the log
        "output": worker.output().partition(WHOLE_TRACEBACK)[0],
        "traceback": worker.traceback,
        "duration_s": round(time.time() - worker.started, 3),
        "requests": list(lost),
        "listening": listening if os.path.exists(listening) else None,
        "log": worker.log_path,
    }


def describe_ending(worker: Worker) -> str:
    """Say how a worker ended that could not say it itself: its exit status, and the last line that it printed.

    An interpreter that cannot even begin (no memory, a module that is missing) tells nobody but its log why.
    """
    ending = worker.ending or Ending()
    lines = worker.output().strip().splitlines() if ending.exit_status else []
    return f"{ending}: {lines[-1].strip()[:LAST_LINE_CHARACTERS]}" if lines else str(ending)


def environment_difference(before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> dict[str, list[str]]:
    """Name the variables in which a worker's environment differs from that of the last one that came up.

    SECURITY: names only; values are secrets as often as not.
    """
    if before is None or now is None:
        return {}
    found = {
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
        "changed": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
    }
    return {how: names for how, names in found.items() if names}


def describe_checks(worker: Worker) -> list[str]:
    """Say which health checks of a worker fail, and why."""
    checks = worker.board.glance(worker.order.record).checks
    return [check.describe() for check in checks if check.state == "failing"]
