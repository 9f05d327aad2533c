"""How long to wait for a lock."""

from __future__ import annotations

import datetime

import pytest

from cherrypy.lib.locking import LockChecker, LockTimeout, NeverExpires, Timer, as_timeout


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime.datetime]:
    """A clock that is moved by hand: its one item is now."""
    now = [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)]

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return now[0]

    monkeypatch.setattr("cherrypy.lib.locking.datetime.datetime", Clock)
    return now


def test_a_timer_expires_at_its_moment(clock: list[datetime.datetime]) -> None:
    """Not before."""
    timer = Timer(clock[0] + datetime.timedelta(seconds=5))
    relative = Timer.after(datetime.timedelta(seconds=5))

    assert [timer.expired(), relative.expired()] == [False, False]
    clock[0] += datetime.timedelta(seconds=4.9)
    assert [timer.expired(), relative.expired()] == [False, False]
    clock[0] += datetime.timedelta(seconds=0.1)
    assert [timer.expired(), relative.expired()] == [True, True]
    assert relative.expiration == timer.expiration


def test_never_is_never() -> None:
    """For no time-out."""
    assert NeverExpires().expired() is False


def test_the_checker_raises_when_time_is_up(clock: list[datetime.datetime]) -> None:
    """And names the session."""
    checker = LockChecker("abc", datetime.timedelta(seconds=2))

    assert checker.expired() is False
    clock[0] += datetime.timedelta(seconds=3)
    with pytest.raises(LockTimeout, match="Timeout acquiring lock for abc"):
        checker.expired()
    assert checker.session_id == "abc"


@pytest.mark.parametrize("timeout", [None, datetime.timedelta(0)])
def test_without_a_timeout_the_checker_never_raises(
    clock: list[datetime.datetime], timeout: datetime.timedelta | None
) -> None:
    """Nought has always meant none."""
    checker = LockChecker("abc", timeout)
    clock[0] += datetime.timedelta(days=1000)

    assert isinstance(checker.timer, NeverExpires)
    assert checker.expired() is False


def test_timeouts_are_seconds_or_timedeltas() -> None:
    """Or none."""
    second = datetime.timedelta(seconds=1)

    assert [as_timeout(1), as_timeout(1.0), as_timeout(second), as_timeout(None)] == [second, second, second, None]
    for wrong in ("1", True, object()):
        with pytest.raises(ValueError, match="Lock timeout must be numeric seconds or a timedelta instance"):
            as_timeout(wrong)  # type: ignore[arg-type]
