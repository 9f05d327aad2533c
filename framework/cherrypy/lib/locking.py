"""How long to wait for a lock."""

from __future__ import annotations

import datetime
from typing import Self


class NeverExpires:
    """A timer that does not run."""

    def expired(self) -> bool:
        """False."""
        return False


class Timer:
    """A moment, and whether it has passed.

    Args:
        expiration: a datetime with time zone.
    """

    def __init__(self, expiration: datetime.datetime) -> None:
        self.expiration = expiration

    @classmethod
    def after(cls, elapsed: datetime.timedelta) -> Self:
        """A timer that expires when *elapsed* has passed from now."""
        return cls(datetime.datetime.now(datetime.UTC) + elapsed)

    def expired(self) -> bool:
        """True when the moment has passed."""
        return datetime.datetime.now(datetime.UTC) >= self.expiration


class LockTimeout(Exception):
    """A lock could not be had in time."""


class LockChecker:
    """Watches one attempt to lock a session.

    Args:
        session_id: for the error.
        timeout: how long to try, a timedelta; None or nought: for ever.
    """

    def __init__(self, session_id: str, timeout: datetime.timedelta | None) -> None:
        self.session_id = session_id
        self.timer: Timer | NeverExpires = Timer.after(timeout) if timeout else NeverExpires()

    def expired(self) -> bool:
        """False while there is time.

        Raises:
            LockTimeout: there is none left.
        """
        if self.timer.expired():
            raise LockTimeout(f"Timeout acquiring lock for {self.session_id}")
        return False


def as_timeout(value: float | datetime.timedelta | None) -> datetime.timedelta | None:
    """Read the setting ``lock_timeout``: seconds, a timedelta, or None.

    Raises:
        ValueError: it is something else.
    """
    if value is None or isinstance(value, datetime.timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.timedelta(seconds=value)
    raise ValueError("Lock timeout must be numeric seconds or a timedelta instance.")
