"""Ends of one pool: a worker finishes what it has; one that does not is set aside, told of by name, and killed at last.

Nobody waits for it meanwhile: a roll goes on, the next one too.
"""

from __future__ import annotations

import logging
import signal
import time

from kirsch.scoreboard import describe_request
from kirsch.supervise.site import Site
from kirsch.supervise.worker import Worker

#: A worker has this much longer than its time before it is killed: its own deadline should come first.
KILL_MARGIN_S = 5.0
#: How often a worker is looked at whose handlers have asked for more time.
LOOK_S = 1.0


class Retirement:
    """The workers of one pool that are on their way out."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.retiring: set[Worker] = set()
        self.quarantined: set[Worker] = set()
        """Those of them that did not drain in time."""
        self.outcomes = {"done": 0, "killed": 0}
        """How those went who were asked to, since the supervisor's start."""

    async def retire(self, worker: Worker, drain_s: float, quarantine_s: float = 0.0) -> None:
        """Let *worker* finish what it has, and end it.

        After *drain_s*, or what its handlers have asked for, it is in quarantine: what it waits for is told; after
        *quarantine_s* more it is killed.
        """
        self.retiring.add(worker)
        outcome = "done"
        if worker.state in {"ready", "booting", "warming"}:
            worker.state, worker.since = "draining", time.time()
        self.site.events.say("draining", worker=worker.name, pid=worker.pid, state="draining")
        self.site.on_change()
        worker.signal(signal.SIGTERM)
        try:
            if quarantine_s:
                if await worker.wait_until_gone(drain_s) or await _wait_as_asked(worker):
                    return
                self._quarantine(worker, drain_s)
            if await worker.wait_until_gone(quarantine_s or drain_s):
                return
            worker.signal(signal.SIGTERM)  # told again it leaves in good order, with its requests inside
            if await worker.wait_until_gone(KILL_MARGIN_S):
                return
            self.site.events.say(
                "killed", worker=worker.name, level=logging.WARNING, inside=inside(worker),
                message=f"did not drain in {drain_s + quarantine_s:g} s",
            )  # fmt: skip
            outcome = "killed"
            await worker.end()
        finally:
            if worker.is_gone:
                self.outcomes[outcome] += 1
            self.quarantined.discard(worker)

    async def hurry(self, worker: Worker, drain_s: float) -> None:
        """Wait for a worker that was told to go earlier, no longer than *drain_s* and the margin."""
        if not await worker.wait_until_gone(drain_s):
            worker.signal(signal.SIGTERM)
            await worker.wait_until_gone(KILL_MARGIN_S)

    def forget(self, worker: Worker) -> None:
        """Drop a worker that has ended."""
        self.retiring.discard(worker)
        self.quarantined.discard(worker)

    def _quarantine(self, worker: Worker, drain_s: float) -> None:
        self.quarantined.add(worker)
        waits_for = inside(worker)
        self.site.events.say(
            "quarantined", worker=worker.name, pid=worker.pid, level=logging.WARNING, inside=waits_for,
            message=f"did not drain in {drain_s:g} s; waits for {', '.join(waits_for) or 'open connections'}",
        )  # fmt: skip


def inside(worker: Worker) -> list[str]:
    """Say what a worker is inside of, and for how long: ``GET /report in shop/web.py: Shop.report (41 s)``."""
    running = worker.board.glance(worker.order.record).running
    return [f"{describe_request(request.line, request.handler)} ({request.for_s:.0f} s)" for request in running]


async def _wait_as_asked(worker: Worker) -> bool:
    """Wait as long as handlers inside have asked for by ``tools.drain.timeout``; True once the worker is gone."""
    while not worker.is_gone and (asked_s := worker.board.glance(worker.order.record).asks_for_s) > 0:
        # not longer at once: who had asked may be done, and others may remain
        await worker.wait_until_gone(min(asked_s, LOOK_S))
    return worker.is_gone
