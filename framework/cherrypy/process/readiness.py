"""Whoever started a daemon learns whether it has started: from the status of the process they wait for."""

from __future__ import annotations

import os
import select
import sys
from typing import Any

STARTED = b"started"
FAILED = 1

# A start that takes longer is believed to succeed, as CherryPy believes every one.
PATIENCE_S = 30.0


class Witness:
    """Stays in the foreground until the bus, which goes on in a child, has STARTED or exited.

    Args:
        bus: the bus that is being started.
    """

    def __init__(self, bus: Any) -> None:
        self.bus = bus
        self._to_parent = -1

    def fork(self) -> None:
        """Return in the child only. The parent leaves with 0 when the bus has started, with 1 when it could not.

        Raises:
            OSError: the system refused the pipe or the fork.
        """
        # Whatever stands in the buffers would be written by parent and child.
        sys.stdout.flush()
        sys.stderr.flush()
        from_child, self._to_parent = os.pipe()
        if os.fork() > 0:
            os.close(self._to_parent)
            os._exit(wait(from_child, PATIENCE_S))  # no atexit, no buffers: they are the child's now
        os.close(from_child)
        self.bus.subscribe("log", self.listen)

    def listen(self, msg: str, level: int) -> None:
        """Pass on what the bus says of itself; no channel tells that it has STARTED."""
        if msg == "Bus STARTED":
            self.leave(STARTED)
        elif msg in ("Bus STOPPING", "Bus EXITING"):
            self.leave(b"")

    def leave(self, word: bytes) -> None:
        """Say *word* to the parent, which may have lost patience, and be done."""
        self.bus.unsubscribe("log", self.listen)
        if self._to_parent < 0:
            return
        descriptor, self._to_parent = self._to_parent, -1
        try:
            os.write(descriptor, word)
        except BrokenPipeError:
            return
        finally:
            os.close(descriptor)


def wait(from_child: int, timeout_s: float) -> int:
    """The status for the parent: 0 if the child says that it has started, or nothing for *timeout_s* seconds."""
    readable, _, _ = select.select([from_child], [], [], timeout_s)
    if not readable or os.read(from_child, len(STARTED)) == STARTED:
        return 0
    os.write(2, b"The daemon could not start; its log says why.\n")
    return FAILED
