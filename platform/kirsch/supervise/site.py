"""What all pools of a host share: where things lie, who listens, how workers are started."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from kirsch.link.state import State
from kirsch.spec import HostPaths
from kirsch.supervise.events import Events
from kirsch.supervise.rundir import RunDir
from kirsch.supervise.worker import Launch


@dataclass(frozen=True)
class Site:
    """A host, as its fleets see it."""

    paths: HostPaths
    rundir: RunDir
    events: Events
    launch: Callable[[State, str], Launch]
    """How the workers of a state's pool are started."""
    on_change: Callable[[], None]
    """Called when workers came, went or changed."""
    keep: Callable[[Coroutine[Any, Any, None]], None]
    """Goes on with work that nobody waits for, until its end or the supervisor's."""
