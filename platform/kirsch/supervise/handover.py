"""What a supervisor finds when it starts: open sockets and the lock of the version that it takes the place of in the
same process, or sockets of systemd's (``activation``).

Whoever connects while the new one starts waits in the queue of the socket; nobody is refused.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "KIRSCH_HANDOVER"


@dataclass
class Handover:
    """Descriptors by what they are; empty for a supervisor that starts afresh."""

    lock: int = -1
    sockets: dict[str, int] = field(default_factory=dict)
    """Listening Unix sockets by path."""

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Handover:
        """Read what was handed to this process, and keep it from its children."""
        text = environ.pop(VARIABLE, "")
        if not text:
            return cls()
        data = json.loads(text)
        if data["pid"] != os.getpid():
            return cls()  # a child that inherited the variable, and no descriptors
        found = cls(data["lock"], dict(data["sockets"]))
        for number in (found.lock, *found.sockets.values()):
            os.set_inheritable(number, False)
        return found

    def pass_on(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the next version; the descriptors stay open for it."""
        for number in (self.lock, *self.sockets.values()):
            os.set_inheritable(number, True)
        text = json.dumps({"pid": os.getpid(), "lock": self.lock, "sockets": self.sockets})
        return {**environ, VARIABLE: text}

    def socket(self, path: str) -> socket.socket | None:
        """Return the socket that listens for *path* already, once; one that has another path gets a link there."""
        number = self.sockets.pop(path, None)
        if number is None:
            return None
        listening = socket.socket(fileno=number)
        address = listening.getsockname()
        if address != path:
            Path(path).unlink(missing_ok=True)
            os.symlink(address, path)
        return listening

    def close_rest(self) -> None:
        """Close what nobody wanted: pools that are gone."""
        for number in self.sockets.values():
            os.close(number)
        self.sockets.clear()
