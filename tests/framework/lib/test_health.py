"""Health checks: run beside everything else, cached, limited in time, whatever they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

import cherrypy
from cherrypy.lib.health import Check, Checks, NoNews
from cherrypy.process.wspbus import Bus


@pytest.fixture
def checks() -> Iterator[Checks]:
    made = Checks(Bus())
    yield made
    made.stop()


def wait_for(truth: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def fail() -> None:
    raise OSError("no route\nto host")


async def later() -> str:
    return "well"


@pytest.mark.parametrize(
    ("function", "state", "message"),
    [
        (lambda: None, "passing", ""),
        (lambda: "3 of 3", "passing", "3 of 3"),
        (lambda: 0, "passing", ""),
        (lambda: False, "failing", ""),
        (fail, "failing", "OSError: no route"),
        (later, "passing", "well"),
    ],
)
def test_what_a_check_says(function: Callable[[], object], state: str, message: str) -> None:
    """Returning passes, raising and False fail; the first line of the reason is kept."""
    check = Check("db", function, timeout_s=30, critical=True, interval_s=1)
    before = check.result()
    check.ask()
    result = check.result()

    assert before.state == "pending"
    assert (result.name, result.state, result.message, result.critical) == ("db", state, message, True)
    assert result.changed <= time.time()


def test_a_check_that_does_not_answer_fails_meanwhile(checks: Checks) -> None:
    """Nobody waits for it; once it answers it passes again, unless that took too long."""
    inside, may_end = threading.Event(), threading.Event()

    @checks("db", timeout_s=0.05, critical=True, interval_s=0.001)
    def database() -> None:
        if not may_end.is_set():
            inside.set()
            may_end.wait(60)

    checks.start()
    inside.wait(30)
    wait_for(lambda: checks.results()[0].state == "failing")
    said = checks.results()[0].message
    may_end.set()
    wait_for(lambda: checks.results()[0].state == "passing")

    assert said == "no answer in 0.05 s"


def test_the_moment_of_change_is_kept() -> None:
    """It is that of the last change, and not of the last answer."""
    answers = iter([True, True, False])
    check = Check("db", lambda: next(answers), timeout_s=30, critical=False, interval_s=1)
    check.ask()
    first = check.result()
    check.ask()
    second = check.result()
    check.ask()
    third = check.result()

    assert second.changed == first.changed
    assert third.changed >= second.changed
    assert third.state == "failing"


def test_no_news_changes_nothing() -> None:
    """A check that cannot tell leaves what it said before."""
    answers: list[Exception | None] = [None, NoNews()]

    def ask() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    check = Check("page", ask, timeout_s=30, critical=True, interval_s=1)
    check.ask()
    before = check.result()
    check.ask()

    assert check.result() == before


def test_the_decorated_function_stays_what_it_is(checks: Checks) -> None:
    """Two of one name are two checks."""

    @checks("db")
    def one() -> str:
        return "one"

    checks("db")(one)

    assert one() == "one"
    assert [result.name for result in checks.results()] == ["db", f"db@{__name__}"]


def test_checks_run_with_the_engine() -> None:
    """From its start to its stop, one that is added later as well; not one second before."""
    bus = Bus()
    checks = Checks(bus)
    checks.subscribe()
    asked = threading.Event()
    checks.add("early", asked.set, interval_s=0.001)
    before = checks.results()[0].state
    bus.publish("start")
    is_all_there = checks.wait(30)
    checks.add("late", lambda: None)
    is_late_there = checks.wait(30)
    bus.publish("stop")
    checks.unsubscribe()

    assert before == "pending"
    assert is_all_there
    assert is_late_there
    assert asked.is_set()
    assert not bus.listeners["start"]


def test_who_waits_is_told_when_somebody_is_late(checks: Checks) -> None:
    """Nobody has started them: they stay pending."""
    checks.add("db", lambda: None)

    assert checks.wait(0.01) is False
    checks.remove("db")
    assert checks.wait(0.0) is True


@pytest.mark.parametrize("given", [{"timeout_s": 0}, {"interval_s": -1}])
def test_times_are_over_nothing(checks: Checks, given: dict[str, float]) -> None:
    """A mistake is told where it is made."""
    with pytest.raises(ValueError, match="times over 0"):
        checks.add("db", lambda: None, **given)


def test_the_public_name_is_there() -> None:
    """An application finds it beside the engine."""
    assert isinstance(cherrypy.health, Checks)
