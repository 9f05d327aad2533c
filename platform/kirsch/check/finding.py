"""One thing that does not fit between nginx and an application, or between what is written and what counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Most serious first: requests fail or somebody is deceived; it may, one day; it does not count or is not needed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written; ``str()`` is ``shop.conf: [/upload] tools.sessions.on``."""

    file: str
    key: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, on both sides, why that matters, and what to write."""

    code: str
    severity: Severity
    title: str
    front: Place
    """On nginx's and the stack's side."""
    app: Place | None
    """On the application's side; None where the stack contradicts itself."""
    why: str
    cure: str
