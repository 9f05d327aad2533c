"""What systemd is told, over the socket that it names in the environment; nothing at all where it named none.

READY when the stack serves, RELOADING around a roll or an upgrade, STOPPING at the end, and a sign of life in between
that comes out of the loop which does all the work: a supervisor that hangs is found out. Source: sd_notify(3).
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

PATIENCE_S = 1.0


class Notifier:
    """Speaks to systemd.

    Args:
        environ: has ``NOTIFY_SOCKET``, or not; ``WATCHDOG_USEC`` and ``WATCHDOG_PID``.
        pid: ours: a watchdog that is meant for another process is none of our business.
    """

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        is_meant = environ.get("WATCHDOG_PID") in {None, "", str(pid)}
        microseconds = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(microseconds) / 1e6 if microseconds.isdecimal() and is_meant else None
        """Within how many seconds a sign of life has to come; None for never."""

    @property
    def is_heard(self) -> bool:
        """True when somebody listens."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Say that the stack serves, also after a roll or an upgrade."""
        self._tell(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={_line(status)}")

    def reloading(self, status: str) -> None:
        """Say that something is being changed, until the next ``ready``."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS={_line(status)}")

    def stopping(self) -> None:
        """Say that this is the end."""
        self._tell("STOPPING=1\nSTATUS=requests that run are finished")

    def alive(self, status: str) -> None:
        """Give a sign of life."""
        self._tell(f"WATCHDOG=1\nSTATUS={_line(status)}", patience_s=0.0)

    def _tell(self, text: str, patience_s: float = PATIENCE_S) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.settimeout(patience_s)  # a systemd that does not listen must not hold the loop
                line.connect(address)
                line.sendall(text.encode("utf-8", "replace"))
        except OSError as error:
            log.warning("systemd cannot be told: %s", error)


def _line(text: str) -> str:
    return text.replace("\n", " ")
