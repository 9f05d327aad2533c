"""What the operator wrote about one health check of an application."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kirsch.spec.name import Seconds

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
CheckCall = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^{_WORD}(?:\.{_WORD})*:{_WORD}(?:\.{_WORD})*\Z",
        description='"package.module:function", which is called without arguments',
    ),
]
CheckPath = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^/[\x21-\x22\x24-\x7e]*\Z",
        max_length=1000,
        description='a path with its query, below the mount: "/health"',
    ),
]


class HealthCheck(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One question to the application, put to it by every worker again and again: a function, or a path of its own."""

    call: CheckCall | None = None
    """A function: it fails when it raises, or returns False."""
    path: CheckPath | None = None
    """A page: it fails unless the answer is 2xx or 3xx. The worker asks itself, and counts that as a request."""
    timeout_s: Seconds = 1.0
    critical: bool = False
    """Whether a worker gets no requests while it fails."""
    interval_s: Seconds = 5.0
    """From one answer to the next question."""
