"""What a hub needs of the way to other hosts, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from kirsch.link import wire
from kirsch.link.leases import Grant


class Uplink(Protocol):
    """What a hub needs of the way to other hosts."""

    degraded: str
    """Why they cannot be reached; empty when they can."""

    @property
    def remote(self) -> Iterable[wire.Member]:
        """Members of other hosts."""

    def spread(self, key: str, sender: str, frame: wire.Send) -> set[str]:
        """Give a message to other hosts; return those that will answer."""

    def lease(self, frame: wire.Take | wire.Renew | wire.Release, holder: str, answer: Callable[[Grant], None]) -> None:
        """Ask for a lease of the cluster."""

    def release_all(self, holder: str) -> None:
        """Free the leases of a member that is gone."""

    def count(self, frame: wire.Count, answer: Callable[[wire.Counted], None]) -> None:
        """Count in the cluster."""

    def local_changed(self) -> None:
        """Tell other hosts that members of this one have come, changed or gone."""
