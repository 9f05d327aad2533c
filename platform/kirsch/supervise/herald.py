"""What systemd is told from the start of a supervisor to its end: readiness once, then that it lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kirsch.observe.view import StackView
from kirsch.supervise.notify import Notifier
from kirsch.supervise.portrait import describe_briefly

LOOK_S = 0.1


async def report_to_systemd(notifier: Notifier, view: Callable[[], StackView], patience_s: float) -> None:
    """Say when everything serves, or could not within *patience_s*; then, that we live."""
    if not notifier.is_heard:
        return
    deadline = time.monotonic() + patience_s
    while not view().is_ready and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_S)
    notifier.ready(describe_briefly(view()))
    while notifier.watchdog_s is not None:
        notifier.alive(describe_briefly(view()))
        await asyncio.sleep(notifier.watchdog_s / 3)
