"""What all processes of a stack share without asking each time: feature flags; and what they count together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kirsch.link import wire
from kirsch.link.flags import is_on


class Shared:
    """The part of ``engine.cluster`` that has to do with settings and counters."""

    settings: dict[str, dict[str, Any]]
    ask: Callable[..., Any]
    next_id: Callable[[], str]

    def flag(self, name: str, subject: object = None, *, default: bool = False) -> bool:
        """True when the feature *name* is on: for everybody, or for the share of all subjects that this one is in.

        The answer for one *subject* (a visitor's id) is the same in every process, and stays when the share grows.
        """
        found = self.settings.get("flags", {}).get(name)
        return default if found is None else is_on(name, found, subject)

    def count(self, key: str, window_s: float = 60.0, by: int = 1) -> int:
        """Count one more of *key* for the whole stack; return how many there are in this window.

        For rate limits: ``if cluster.count(f"login {ip}", 60) > 5: raise cherrypy.HTTPError(429)``. 0 if there is
        no hub to ask: a limit that cannot be counted is none.
        """
        answer = self.ask(wire.Count(id=self.next_id(), key=key, window_s=window_s, by=by), wire.Counted, 1.0)
        return int(answer.count) if answer is not None else 0
