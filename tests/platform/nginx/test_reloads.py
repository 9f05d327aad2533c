"""The budget of reloads on a clock that only tests move, and many who want the same at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from kirsch.nginx.reloads import Budget, Coalescer


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, for_s: float) -> None:
        """Let time pass."""
        self.slept.append(for_s)
        self.now += for_s


@pytest.fixture
def clock() -> Clock:
    """A clock at 100 s."""
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> Budget:
    """Three at once, one more every five seconds."""
    return Budget(3, 5.0, clock=clock, sleep=clock.sleep)


def test_three_go_at_once_and_the_fourth_waits(budget: Budget, clock: Clock) -> None:
    """The fifth waits as long again."""
    for _ in range(5):
        budget.wait()
        budget.spend()

    assert clock.slept == [5.0, 5.0]


def test_what_was_not_spent_comes_back_but_never_more_than_at_first(budget: Budget, clock: Clock) -> None:
    """An hour without reloads allows three, not seven hundred."""
    for _ in range(3):
        budget.spend()
    early = budget.delay_s()
    clock.now += 2.0
    later = budget.delay_s()
    clock.now += 3600.0
    for _ in range(3):
        budget.wait()
        budget.spend()

    assert (early, later) == (5.0, 3.0)
    assert clock.slept == []
    assert budget.delay_s() == 5.0


def test_going_back_is_counted_and_never_waits(budget: Budget) -> None:
    """The next one waits for it, too."""
    for _ in range(5):
        budget.spend()

    assert budget.delay_s() == 15.0


class Gathering:
    """A sleep during which everybody else comes."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.sleeping, self.go_on = threading.Event(), threading.Event()

    def sleep(self, for_s: float) -> None:
        """Wait for the test, then let the time pass."""
        self.sleeping.set()
        assert self.go_on.wait(10)
        self.clock.now += for_s


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Start *work* beside the test."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_all_who_wait_share_one_act_of_the_newest(clock: Clock) -> None:
    """Ten changes while the budget is spent are one reload, to the last of them, and each gets its result."""
    gathering = Gathering(clock)
    reloads = Coalescer[int](Budget(1, 5.0, clock=clock, sleep=gathering.sleep))
    reloads.budget.spend()
    done: list[int] = []
    results: list[int] = []

    def act(number: int) -> int:
        done.append(number)
        return number

    def want(number: int) -> None:
        results.append(reloads.run(partial(act, number)))

    threads = [in_thread(lambda: want(0))]
    assert gathering.sleeping.wait(10)
    for number in range(1, 10):
        threads.append(in_thread(partial(want, number)))
    while reloads.waiting < 10:
        threading.Event().wait(0.001)
    gathering.go_on.set()
    for thread in threads:
        thread.join(10)

    assert len(done) == 1
    assert results == done * 10


def test_an_error_reaches_everybody_and_the_next_one_is_not_hurt(budget: Budget) -> None:
    """A refused configuration is no reason to refuse the one that mends it."""
    reloads = Coalescer[int](budget)

    def fail() -> int:
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError, match="refused"):
        reloads.run(fail)

    assert reloads.run(lambda: 7) == 7
