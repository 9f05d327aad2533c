"""How a worker tells what it does: to its parent on the report pipe, to everybody on the scoreboard."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kirsch.link.frame import encode_frame
from kirsch.link.order import Order, Report, WorkerState
from kirsch.scoreboard import CheckState, Scoreboard, Writer
from kirsch.worker.desk import Pages
from kirsch.worker.failures import Failures
from kirsch.worker.naming import know_apps
from kirsch.worker.output import Output
from kirsch.worker.records import Records

log = logging.getLogger(__name__)

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Teller(Protocol):
    """Who is told how the imports go."""

    def at_step(self, step: str) -> None:
        """Hear what they are at."""

    def say_broken(self, app: str, error: str) -> None:
        """Hear that *app* does not serve, though the others do."""


class Voice:
    """Says one state after the other. A parent that is gone is no reason to stop: the scoreboard still shows it."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.state: WorkerState = "booting"
        self.step = ""
        self.writer: Writer = Scoreboard.open(order.scoreboard, order.record).writer(order.record)
        self.writer.introduce(seat=order.seat, generation=order.generation, release=order.release)
        self.pages = Pages(self.writer)
        """The applications' pages, as the scoreboard counts them."""
        know_apps({app.mount.rstrip("/"): app.name for app in order.apps})
        self.checks: tuple[CheckState, ...] = ()
        """How the applications' health checks stand."""
        self.records = Records(order, self.writer)
        self.failures = Failures(order, self.writer, self.records.fault_of)
        self.output = Output()
        self.broken: dict[str, str] = {}
        """Apps that failed their own mounts only: name to error, without its traceback."""
        self.probes: dict[str, Callable[[str], None]] = {}
        """Paths at which apps are asked what they believe, to what is done first, with the query."""
        self._pipe = order.report_fd
        if self._pipe is not None:
            os.set_inheritable(self._pipe, False)

    def at_step(self, step: str) -> None:
        """Say what the boot, or the warming up, is at."""
        self.step = step
        self._say(Report(state=self.state, step=step, since=time.time()))

    def say_broken(self, app: str, error: str) -> None:
        """Say that *app* does not serve, though the worker does."""
        self.broken[app] = error
        self.writer.note("; ".join(f"app {name} is broken: {why}" for name, why in self.broken.items()))

    def enter(self, state: WorkerState, *, socket: str | None = None, message: str | None = None) -> None:
        """Say that the worker is in another state now."""
        self.state = state
        self.writer.enter_state(state)
        self._say(Report(state=state, step=self.step, since=time.time(), socket=socket, message=message))

    def fail(self, message: str, traceback: str | None) -> None:
        """Say that it cannot go on, and why, whole."""
        self.state = "failed"
        self.writer.enter_state("failed")
        self._say(Report(state="failed", step=self.step, since=time.time(), traceback=traceback, message=message))

    def beat(self) -> None:
        """Say that it lives."""
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        collections = [generation["collections"] for generation in gc.get_stats()]
        self.writer.beat(int(pages) * _PAGE_BYTES, collections)

    def _say(self, report: Report) -> None:
        if self._pipe is None:
            return
        data = encode_frame(report)
        try:
            while data:
                data = data[os.write(self._pipe, data) :]
        except OSError as error:
            log.info("the supervisor hears no longer: %s", error)
            os.close(self._pipe)
            self._pipe = None
