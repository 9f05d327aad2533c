"""What readers of a scoreboard get: values of one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from kirsch.scoreboard.layout import BUCKET_COUNT, CELL_COUNT


def describe_request(line: str, handler: str) -> str:
    """Say which request that is, and what answers it: ``GET /report in shop/web.py: Shop.report``."""
    return f"{line} in {handler}" if handler else line


@dataclass(frozen=True, slots=True)
class Running:
    """One request that a worker is inside of."""

    line: str
    """Method and path, cut to 160 octets: ``POST /cart``."""
    for_s: float
    """Since when, in seconds before the reading."""
    handler: str = ""
    """What answers it, as far as the engine says: ``shop.web.Shop.cart``, or the app of a server of others."""
    request_id: str = ""
    """The X-Request-ID that nginx gave it, as it stands in nginx's access log too."""
    phase: str = "handler"
    """``handler``, or ``sending`` while the body of its answer goes out."""
    thread: int = 0
    """The kernel's id of the thread, as ``top -H`` and py-spy show it."""


class Handler(NamedTuple):
    """What answers requests, with the method that it is asked by."""

    app: str = ""
    name: str = ""
    """``Root.users.show``: attribute by attribute from the application's root."""
    method: str = ""
    code: str = ""
    """``shop/web.py: Users.show``: where it is written."""


NOBODY = Handler("", "(none)")
"""What no page has answered: unknown paths, files, redirects to a slash."""
OTHERS = Handler("(other)", "(other)")
"""All handlers that came when there was no room for more of them."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One request that was not among the fastest."""

    request_id: str
    took_s: float
    at: float
    """Unix time of its end."""


class Counted:
    """What can be asked of ``answers``: by class of status (1xx to 5xx), each class by duration, not cumulated."""

    __slots__ = ()
    answers: tuple[int, ...]

    def by_class(self) -> tuple[int, ...]:
        """Answers by class of status: 1xx, 2xx, 3xx, 4xx, 5xx."""
        return tuple(sum(self.answers[at : at + BUCKET_COUNT]) for at in range(0, CELL_COUNT, BUCKET_COUNT))

    def by_duration(self) -> tuple[int, ...]:
        """Answers by duration, not cumulated; the last is beyond all ``BOUNDS_S``."""
        return tuple(sum(self.answers[at::BUCKET_COUNT]) for at in range(BUCKET_COUNT))


@dataclass(frozen=True, slots=True)
class Handled(Counted):
    """What one handler has answered."""

    handler: Handler
    duration_s: float
    body_bytes: int
    """Octets of the bodies whose length was known."""
    answers: tuple[int, ...]
    exemplar: Exemplar | None = None

    def __add__(self, other: Handled) -> Handled:
        exemplars = [one for one in (self.exemplar, other.exemplar) if one is not None]
        return Handled(
            self.handler,
            self.duration_s + other.duration_s,
            self.body_bytes + other.body_bytes,
            tuple(map(int.__add__, self.answers, other.answers)),
            max(exemplars, key=lambda one: one.at, default=None),
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a worker is: what can be had at next to no cost."""

    begun: int = 0
    finished: int = 0
    waited_s: float = 0.0
    waits: int = 0

    @property
    def in_flight(self) -> int:
        """Requests that began and did not end."""
        return max(0, self.begun - self.finished)

    def __add__(self, other: Progress) -> Progress:
        return Progress(
            self.begun + other.begun,
            self.finished + other.finished,
            self.waited_s + other.waited_s,
            self.waits + other.waits,
        )


@dataclass(frozen=True, slots=True)
class Counters(Counted):
    """Sums over the rows of a record, or of a whole pool."""

    begun: int = 0
    finished: int = 0
    duration_s: float = 0.0
    answers: tuple[int, ...] = (0,) * CELL_COUNT
    """Answers by class of status (1xx to 5xx), each class by duration (bounds are ``BOUNDS_S``, not cumulated)."""
    waited_s: float = 0.0
    """How long those of ``waits`` were under way from nginx to the thread that took them, together."""
    waits: int = 0
    """Requests whose waiting time was measured."""
    body_bytes: int = 0
    """Octets of the bodies of answers, as far as their length was known."""

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.begun + other.begun,
            self.finished + other.finished,
            self.duration_s + other.duration_s,
            tuple(map(int.__add__, self.answers, other.answers)),
            self.waited_s + other.waited_s,
            self.waits + other.waits,
            self.body_bytes + other.body_bytes,
        )

    @property
    def in_flight(self) -> int:
        """Requests that began and did not end."""
        return max(0, self.begun - self.finished)


@dataclass(frozen=True, slots=True)
class CheckState:
    """What a health check of an application said last, as the worker that runs it keeps it."""

    name: str
    state: str
    """``passing``, ``failing``, or ``pending`` before its first answer."""
    critical: bool = False
    """True where the worker gets no requests while it fails."""
    duration_s: float = 0.0
    changed: float = 0.0
    """Unix time since which it is so."""
    message: str = ""

    def describe(self) -> str:
        """Say it in a few words: ``check db fails: OperationalError: no route to host``."""
        does = {"passing": "passes", "failing": "fails"}.get(self.state, "has not answered yet")
        return f"check {self.name} {does}{': ' if self.message else ''}{self.message}"


@dataclass(frozen=True, slots=True)
class Record:
    """What one worker is doing, read at one moment. Times are Unix time."""

    state: str = "empty"
    pid: int = 0
    generation: int = 0
    seat: int = 0
    release: str = ""
    started: float = 0.0
    since: float = 0.0
    heartbeat_age_s: float = 0.0
    """How long ago the worker last said that it lives."""
    rss_bytes: int = 0
    note: str = ""
    """What the worker wants its operator to know though it serves: ``app legacy is broken: ImportError: …``."""
    asks_for_s: float = 0.0
    """How long a worker that drains wants to be waited for, as its handlers say (``tools.drain.timeout``)."""
    collections: tuple[int, ...] = (0, 0, 0)
    """How often the garbage collector ran, by generation."""
    checks: tuple[CheckState, ...] = ()
    counters: Counters = field(default_factory=Counters)
    """Only in what ``read`` returns."""
    running: tuple[Running, ...] = ()

    @property
    def is_unwell(self) -> bool:
        """True while a critical check fails."""
        return any(check.critical and check.state == "failing" for check in self.checks)
