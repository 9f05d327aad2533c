"""Children that are nobody's: in a container the supervisor is process 1, and inherits whoever loses its parent."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class OrphanReaper:
    """Takes ended processes off the kernel's list when nobody else did.

    Only those that were there at the look before: whoever waits for a child of its own does it at once.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def look(self, known: Iterable[int]) -> list[int]:
        """Reap; return the process ids. *known* are workers: their watchers read how they ended."""
        ended = _ended_children() - set(known)
        reaped = [pid for pid in ended & self._seen if _reap(pid)]
        self._seen = ended - set(reaped)
        return reaped


def _ended_children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            children = (task / "children").read_text(encoding="ascii").split()
        except OSError:
            continue  # the thread is gone, or the kernel has no such file
        found |= {int(pid) for pid in children if _has_ended(int(pid))}
    return found


def _has_ended(pid: int) -> bool:
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "Z"
        )
    except OSError:
        return False


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False
