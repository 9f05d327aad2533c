"""An eventfd that any thread may ring while another one closes it."""

from __future__ import annotations

import os
from contextlib import suppress
from threading import RLock


class Bell:
    """Wakes who polls ``fd``.

    Law: the number of a closed descriptor may be another's the next moment. So whoever writes to it, or closes it,
    holds the lock; a signal handler may ring in the middle of a ring, so that lock can be had twice.
    """

    __slots__ = ("_lock", "fd")

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = RLock()

    def ring(self) -> None:
        """Make polls of ``fd`` return until ``hush``; nothing once it is closed."""
        with self._lock, suppress(BlockingIOError):
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def hush(self) -> None:
        """Forget that it was rung."""
        with self._lock, suppress(BlockingIOError):
            if self.fd >= 0:
                os.eventfd_read(self.fd)

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            fd, self.fd = self.fd, -1
            if fd >= 0:
                os.close(fd)
