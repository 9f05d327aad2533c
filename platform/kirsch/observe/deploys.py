"""What was deployed on this host, as every deploy has written it down: ``ROOT/history.jsonl``."""

from __future__ import annotations

import os

import msgspec

SHOWN = 12
#: The end of the file that is read; a line has some 200 octets.
TAIL_BYTES = 32 * 1024


class Deploy(msgspec.Struct, frozen=True, kw_only=True):
    """One deploy: when (ISO 8601, UTC), who from where, what, how it ended, in seconds how long it took."""

    at: str
    by: str = ""
    verb: str = "deploy"
    release: str = ""
    previous: str | None = None
    outcome: str = ""
    reason: str | None = None
    took_s: float = 0.0


class Deploys:
    """Reads the file anew when it is another one."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] = (0, 0)
        self._found: tuple[Deploy, ...] = ()

    def last(self) -> tuple[Deploy, ...]:
        """Return the last deploys, oldest first; lines that cannot be read are passed over."""
        try:
            status = os.stat(self._path)
            seen = (status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                with open(self._path, "rb") as file:
                    file.seek(max(0, status.st_size - TAIL_BYTES))
                    self._found = _read(file.read())
                self._seen = seen
        except OSError:  # nothing was deployed by `kirsch deploy` here
            return self._found
        return self._found


def _read(data: bytes) -> tuple[Deploy, ...]:
    found = []
    for line in data.splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Deploy))
        except msgspec.DecodeError:  # cut short by a full disk, or by us at its begin
            continue
    return tuple(found[-SHOWN:])
