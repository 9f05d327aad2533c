"""Only one supervisor a run directory: a lock that the kernel drops with its process; the file says who holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from kirsch.errors import SuperviseError


class SupervisorLock:
    """Held from ``take`` until ``drop`` or the end of the process. The file is ``RUN/supervisor.pid``."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1

    def take(self) -> None:
        """Take the lock and write our pid.

        Raises:
            SuperviseError: another supervisor runs; its pid is in the report.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise SuperviseError(
                f"a supervisor runs here already: process {pid or 'unknown'}", report={"pid": pid}
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor

    def inherit(self, descriptor: int) -> None:
        """Go on with the lock that an earlier version of this very process took."""
        self._descriptor = descriptor

    def hand_over(self) -> int:
        """Return the descriptor that holds the lock, to be kept open."""
        return self._descriptor

    def drop(self) -> None:
        """Give it back, and leave no file."""
        if self._descriptor >= 0:
            Path(self.path).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1
