"""What is known of one request, and what a cause is; values alone, so that catalogues are tested without a stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kirsch.observe.accesslog import AccessLine
from kirsch.spec import App, Pool, Stack, Vhost

#: How long before a request's end an event of the supervisor's may lie that explains it.
NEAR_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """A request as the scoreboard had it."""

    id: str
    line: str
    worker: str
    handler: str = ""
    for_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """All that was found of one request."""

    id: str = ""
    line: AccessLine | None = None
    """nginx's access log; None while it is under way, and where nginx never saw it."""
    errors: tuple[str, ...] = ()
    """What nginx's error log says of it, without times."""
    events: tuple[Mapping[str, Any], ...] = ()
    """What the supervisor did and saw around its time, oldest first."""
    log: tuple[str, ...] = ()
    """What the workers' logs say under its id, each with the lines that belong to it (a traceback)."""
    capture: Mapping[str, Any] = field(default_factory=dict)
    """What its worker kept of it (``kirsch replay``)."""
    inside: Inside | None = None
    """Where it is now."""
    neighbours: tuple[AccessLine, ...] = ()
    """Requests before it, newest first."""
    stack: Stack | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    """What workers say of themselves though they serve, by name: ``app legacy is broken: …``."""

    @property
    def code(self) -> int:
        """The status that nginx sent; 0 without one."""
        return self.line.code if self.line is not None else 0

    @property
    def was_passed_on(self) -> bool:
        """True when a worker, or the holding server, was asked; False when nginx decided by itself."""
        return self.line is not None and bool(self.line.tries)

    @property
    def last_answer(self) -> str:
        """The status that the last upstream gave; nginx writes its own 502 or 504 where it gave none."""
        return self.line.answers[-1] if self.line is not None and self.line.answers else ""

    @property
    def vhost(self) -> Vhost | None:
        """The vhost that nginx chose."""
        if self.stack is None or self.line is None:
            return None
        name = self.line.vhost
        here = [one for one in self.stack.vhosts.values() if name in one.all_names or (not name and not one.names)]
        return here[0] if here else None

    @property
    def app(self) -> App | None:
        """The app that is mounted there: the one with the longest mount above the path."""
        vhost, line = self.vhost, self.line
        if self.stack is None or vhost is None or line is None:
            return None
        apps = [self.stack.apps[name] for name in vhost.apps if name in self.stack.apps]
        here = [app for app in apps if f"{line.path}/".startswith(f"{app.mount.rstrip('/')}/")]
        return max(here, key=lambda app: len(app.mount), default=None)

    @property
    def pool(self) -> Pool | None:
        """The pool that it was passed on to, by the name of the slot."""
        if self.stack is None or self.line is None or not self.line.tries:
            return None
        name = self.line.tries[-1].rpartition("/")[2].partition(":")[0].removesuffix(".sock").partition(".")[0]
        return self.stack.pools.get(name)

    def says(self, *words: str) -> str:
        """Return the first of nginx's error lines that has one of *words*; empty when none has."""
        return next((line for line in self.errors if any(word in line for word in words)), "")

    def happened(self, *kinds: str) -> Iterator[Mapping[str, Any]]:
        """Yield the events of these kinds that were near its end, the last first; of its pool, where that is known."""
        pool, end = self.pool, self.line.at if self.line is not None else None
        began = self.line.began if self.line is not None else None
        for event in reversed(self.events):
            if event.get("kind") not in kinds:
                continue
            at = float(event.get("at", 0.0))
            if end is not None and began is not None and not began - NEAR_S <= at <= end + NEAR_S:
                continue
            who = str(event.get("pool") or event.get("worker") or "").partition(".")[0]
            if pool is None or not who or who == pool.name:
                yield event

    @property
    def death(self) -> Mapping[str, Any] | None:
        """The end of the worker that it was inside of."""
        ends = (event for event in reversed(self.events) if event.get("kind") in ("died", "stopped"))
        mine = (event for event in ends if any(one.get("id") == self.id for one in event.get("running") or ()))
        return next(mine, None)

    @property
    def handler(self) -> str:
        """What answered it, as far as anybody says."""
        if self.capture.get("handler"):
            return str(self.capture["handler"])
        if self.inside is not None:
            return self.inside.handler
        death = self.death
        for one in (death or {}).get("running", ()):
            if one.get("id") == self.id:
                return str(one.get("handler", ""))
        return ""

    @property
    def last_error(self) -> str:
        """The last line of the exception that the worker's log, or its capture, has: ``ValueError: no such jam``."""
        if self.capture.get("exception"):
            return str(self.capture["exception"])
        for text in reversed(self.log):
            lines = [line for line in text.splitlines() if line.strip()]
            if any(line.startswith("Traceback ") for line in lines):
                return lines[-1].strip()
        return ""


Matcher = Callable[[Evidence], str | None]


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of the catalogue: *match* returns what is to be said, or None when it is not this."""

    key: str
    """A word for metrics and programs."""
    match: Matcher
    cure: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer to "why?"."""

    cause: str
    sentence: str
    cure: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.cure}".rstrip()
