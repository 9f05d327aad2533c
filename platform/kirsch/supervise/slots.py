"""Slots: the socket names that nginx knows, as symbolic links that the supervisor alone moves, each by one rename."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from kirsch.spec.paths import HostPaths


def spread(slots: int, holders: Sequence[str], current: Mapping[int, str]) -> dict[int, str]:
    """Give every slot (1 to *slots*) to one of *holders*, evenly, with as few moves as can be.

    A slot stays where it is if its holder is still there and holds no more than its share.

    >>> spread(3, ["a", "b"], {})
    {1: 'a', 2: 'b', 3: 'a'}
    >>> spread(3, ["b"], {1: "a", 2: "b", 3: "a"})
    {1: 'b', 2: 'b', 3: 'b'}
    """
    if not holders:
        return {}
    least, more = divmod(slots, len(holders))
    held: dict[str, int] = dict.fromkeys(holders, 0)
    given: dict[int, str] = {}
    # Shares are `least` or one more; `more` holders may have the larger one: first those that hold it already.
    for slot in range(1, slots + 1):
        holder = current.get(slot)
        if holder is None or holder not in held:
            continue
        if held[holder] < least or (held[holder] == least and more > 0):
            more -= held[holder] == least
            held[holder] += 1
            given[slot] = holder
    for slot in range(1, slots + 1):
        if slot not in given:
            holder = min(holders, key=lambda name: held[name])
            held[holder] += 1
            given[slot] = holder
    return dict(sorted(given.items()))


class Slots:
    """The links of one pool.

    Args:
        paths: of the host.
        pool: its name.
        count: how many slots nginx knows.
    """

    def __init__(self, paths: HostPaths, pool: str, count: int) -> None:
        self.paths = paths
        self.pool = pool
        self.count = count

    def targets(self) -> dict[int, str]:
        """Return where each slot's link points, as an absolute socket path."""
        found = {}
        for slot in range(1, self.count + 1):
            link = self.paths.slot_socket(self.pool, slot)
            try:
                found[slot] = os.path.normpath(os.path.join(self.paths.slots, os.readlink(link)))
            except OSError:
                continue  # no link yet, or no longer one
        return found

    def point(self, targets: Mapping[int, str]) -> list[int]:
        """Point each slot at a socket; return the slots that moved."""
        before = self.targets()
        moved = [slot for slot, target in targets.items() if before.get(slot) != target]
        for slot in moved:
            self._move(slot, targets[slot])
        return moved

    def remove(self) -> None:
        """Take away every link of the pool, also those beyond its count."""
        for link in Path(self.paths.slots).glob(f"{self.pool}.*.sock"):
            if link.name.split(".")[0] == self.pool:
                link.unlink(missing_ok=True)

    def _move(self, slot: int, target: str) -> None:
        link = self.paths.slot_socket(self.pool, slot)
        beside = f"{link}.new"
        Path(beside).unlink(missing_ok=True)
        # Relative, so that the run directory may be seen under another name (a container's mount).
        os.symlink(os.path.relpath(target, self.paths.slots), beside)
        os.replace(beside, link)
