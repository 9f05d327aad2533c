"""What somebody should be told of at once: counted, and handed to the command that the pool names (``alert``)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from kirsch.spec import Pool
from kirsch.supervise.events import Events
from kirsch.supervise.identity import identity_of
from kirsch.supervise.worker import Launch

log = logging.getLogger(__name__)

#: Events that are alerts: a crash loop, a worker that does not drain, one that hangs, one that ate too much.
KINDS = frozenset({"parked", "quarantined", "stuck", "memory"})
#: The same of the same worker is told again after so long.
AGAIN_S = 300.0
COMMAND_S = 30.0
OUTPUT_BYTES = 2000


class Alerts:
    """The alerts of one pool.

    Args:
        pool: its name.
        spec: returns its description as it is now.
        launch: returns how its workers are started now: commands run as they do, in their environment.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        pool: str,
        spec: Callable[[], Pool],
        launch: Callable[[], Launch],
        events: Events,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: dict[str, int] = {}
        """Since the supervisor's start, by kind."""
        self._pool = pool
        self._spec = spec
        self._launch = launch
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        self._running: set[asyncio.Task[None]] = set()
        self.close = events.listen(self.hear)
        """Hears no more."""

    def hear(self, event: Mapping[str, Any]) -> None:
        """Count *event* if it is an alert of this pool's, and have the pool's command run."""
        who = str(event.get("worker") or event.get("pool") or "")
        kind = str(event["kind"])
        if kind not in KINDS or who.rpartition(".")[0] != self._pool:
            return
        self.counts[kind] = self.counts.get(kind, 0) + 1
        command, now = self._spec().alert, self._clock()
        if command is None or now - self._told.get((kind, who), -AGAIN_S) < AGAIN_S:
            return
        self._told[kind, who] = now
        task = asyncio.get_running_loop().create_task(self._run(command, kind, who, dict(event)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, command: str, kind: str, who: str, event: dict[str, Any]) -> None:
        launch = self._launch()
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, cwd="/",
                env={**launch.environ, "KIRSCH_ALERT": kind, "KIRSCH_WORKER": who}, start_new_session=True,
                **identity_of(launch.user, launch.group),
            )  # fmt: skip
        except (OSError, KeyError) as error:
            log.error("the alert %s of %s was not told: %s", kind, who, error)
            return
        try:
            told = json.dumps(event, default=str).encode("utf-8")
            output, _ = await asyncio.wait_for(process.communicate(told), COMMAND_S)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()  # its pipes are closed with it
            if not isinstance(error, TimeoutError):
                raise
            log.error("the alert %s of %s was not told: %r took more than %g s", kind, who, command, COMMAND_S)
            return
        if process.returncode:
            said = output[-OUTPUT_BYTES:].decode("utf-8", "replace").strip()
            log.error("the alert %s of %s was not told: status %s: %s", kind, who, process.returncode, said)
