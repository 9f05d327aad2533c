"""One member as its hub sees it: its line, what waits for it, what it has not answered yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from kirsch.link.wire import Member

#: Messages that a member may have without having answered them; all others wait at the hub.
WINDOW = 128


@dataclass(eq=False)
class Seat:
    """A member of this host."""

    member: Member
    opened: set[str] = field(default_factory=set)
    send: Callable[[bytes], object] | None = None
    """Puts a line on its way; None while its connection is away."""
    waiting: deque[tuple[str, bytes]] = field(default_factory=deque)
    """Messages that it was not sent yet: id and line."""
    flying: dict[str, bytes] = field(default_factory=dict)
    """Messages that it has and did not answer."""
    waiting_bytes: int = 0
    wrong: int = 0
    """What it said that nobody may say."""
    complains_at: float = 0.0
    away_since: float | None = None
    id: str = ""
    """Its member's."""

    def __post_init__(self) -> None:
        self.id = self.member.id

    def put(self, message: str, line: bytes) -> None:
        """Have a message wait for it, and send what fits."""
        self.waiting.append((message, line))
        self.waiting_bytes += len(line)
        self.pump()

    def pump(self) -> None:
        """Send what fits into its window."""
        while self.send is not None and self.waiting and len(self.flying) < WINDOW:
            message, line = self.waiting.popleft()
            self.waiting_bytes -= len(line)
            self.flying[message] = line
            self.send(line)

    def drop_oldest(self) -> str:
        """Forget what has waited longest; return its id."""
        message, line = self.waiting.popleft()
        self.waiting_bytes -= len(line)
        return message

    def forget(self, message: str) -> None:
        """Do not send a message that nobody waits for any more."""
        for place, (found, line) in enumerate(self.waiting):
            if found == message:
                self.waiting_bytes -= len(line)
                del self.waiting[place]
                return

    def come_back(self, send: Callable[[bytes], object]) -> None:
        """Go on over another connection: what it did not answer it gets again, with the ids that it knows."""
        self.send, self.away_since = send, None
        for line in self.flying.values():
            send(line)
        self.pump()
