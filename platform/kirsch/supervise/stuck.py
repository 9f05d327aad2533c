"""Requests beyond their deadline: who, where in the code, and since when; then the worker goes.

The stack is written by the worker itself (``faulthandler``, in C, so that also a thread that never lets go of the
interpreter's lock is seen), into its log, from where it is read back.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterable

from kirsch.scoreboard import Running
from kirsch.supervise.worker import Worker

STACK_WAIT_S = 1.0
STACK_LOOK_S = 0.05
STACK_LIMIT_BYTES = 65536
_THREAD = re.compile(r"(?m)^(?=(?:Current thread|Thread) 0x)")


def find_stuck(running: Iterable[Running], deadline_s: float) -> list[Running]:
    """Return the requests whose handler runs for longer than it may; answers that stream are no such."""
    return [one for one in running if one.for_s > deadline_s and one.phase == "handler"]


async def ask_for_stack(worker: Worker) -> str:
    """Have *worker* write the stacks of its threads; return those that are in the application's code, or all."""
    try:
        before = os.path.getsize(worker.log_path)
    except OSError:
        return ""
    worker.signal(signal.SIGUSR1)
    text = ""
    for _ in range(int(STACK_WAIT_S / STACK_LOOK_S)):
        await asyncio.sleep(STACK_LOOK_S)
        earlier, text = text, _read_from(worker.log_path, before)
        if text and text == earlier:
            break  # it has written all of it
    return pick_stacks(text, worker.order.release_dir)


def pick_stacks(dump: str, release_dir: str) -> str:
    """Return the threads of a faulthandler dump that are inside of the release's code; all if none is."""
    threads = [part for part in _THREAD.split(dump) if part.startswith(("Thread 0x", "Current thread 0x"))]
    inside = [part for part in threads if f'File "{release_dir.rstrip("/")}/' in part]
    return "".join(inside or threads)


def _read_from(path: str, offset: int) -> str:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(STACK_LIMIT_BYTES).decode("utf-8", "replace")
