"""What readers of a scoreboard get: values of one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Counters:
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

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.begun + other.begun,
            self.finished + other.finished,
            self.duration_s + other.duration_s,
            tuple(map(int.__add__, self.answers, other.answers)),
            self.waited_s + other.waited_s,
            self.waits + other.waits,
        )

    def by_class(self) -> tuple[int, ...]:
        """Answers by class of status: 1xx, 2xx, 3xx, 4xx, 5xx."""
        return tuple(sum(self.answers[at : at + BUCKET_COUNT]) for at in range(0, CELL_COUNT, BUCKET_COUNT))

    def by_duration(self) -> tuple[int, ...]:
        """Answers by duration, not cumulated; the last is beyond all ``BOUNDS_S``."""
        return tuple(sum(self.answers[at::BUCKET_COUNT]) for at in range(BUCKET_COUNT))

    @property
    def in_flight(self) -> int:
        """Requests that began and did not end."""
        return max(0, self.begun - self.finished)


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
    counters: Counters = field(default_factory=Counters)
    running: tuple[Running, ...] = ()
