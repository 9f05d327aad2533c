"""An exit that does not end: who holds it up, and the end of the process all the same."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

EX_SOFTWARE = 70  # sysexits.h: an internal error; what a bus that cannot even exit leaves the process with
LAST_WORDS_S = 1.0

# After so long a thread that keeps the process alive is described in the log.
PATIENCE_S = 10.0


class ExitWatch:
    """Ends the process with 70 if what happens inside ``with`` takes longer than *timeout_s* seconds.

    Args:
        timeout_s: 0 or None: no limit.
        log: takes the report, and its level.
    """

    def __init__(self, timeout_s: float | None, log: Callable[[str, int], Any]) -> None:
        self.timeout_s = timeout_s
        self.log = log
        self._over = threading.Event()
        self._watched = threading.current_thread()

    def __enter__(self) -> ExitWatch:
        if self.timeout_s:
            watcher = threading.Thread(target=self._watch, name="Bus exit watch", daemon=True)
            try:
                watcher.start()
            except RuntimeError as error:  # the interpreter is leaving and takes no new threads
                self.log(f"The exit has no time limit: {error}", 30)
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        if self._over.wait(self.timeout_s):
            return
        report = (
            f"The exit has taken {self.timeout_s:g} s (engine.exit_timeout_s). Ending the process with "
            f"{EX_SOFTWARE}. It hangs in {describe_thread(self._watched)}"
        )
        # The log may be what hangs: it gets a moment, not more.
        teller = threading.Thread(target=self.log, args=(report, 40), daemon=True)
        teller.start()
        teller.join(LAST_WORDS_S)
        if teller.is_alive():
            os.write(2, report.encode("utf-8", "replace") + b"\n")
        os._exit(EX_SOFTWARE)


def join_threads(timeout_s: float | None, log: Callable[[str, int], Any]) -> bool:
    """Wait for all threads that are no daemons; False if one is left after *timeout_s* (0, None: no limit)."""
    deadline = time.monotonic() + timeout_s if timeout_s else None
    for thread in threading.enumerate():
        if thread is threading.current_thread() or thread is threading.main_thread() or thread.daemon:
            continue
        log(f"Waiting for thread {thread.name}.", 20)
        thread.join(PATIENCE_S if deadline is None else max(min(deadline - time.monotonic(), PATIENCE_S), 0))
        if thread.is_alive():
            log(f"A thread keeps the process alive, {describe_thread(thread)}", 30)
            thread.join(None if deadline is None else max(deadline - time.monotonic(), 0))
        if thread.is_alive():
            log(f"It was waited for {timeout_s:g} s (engine.join_timeout_s), and is left behind.", 40)
            return False
    return True


def describe_thread(thread: threading.Thread) -> str:
    """Name of *thread* and where it is, as the lines of a traceback."""
    frame = sys._current_frames().get(thread.ident or 0)
    where = "".join(traceback.format_stack(frame)) if frame is not None else "  (ended)\n"
    return f"{thread.name}:\n{where}"
