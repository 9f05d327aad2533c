"""Back-off: at once, then later, then parked; forgotten by those who proved themselves."""

from __future__ import annotations

from kirsch.supervise.backoff import FIRST_DELAY_S, LOOP_DEATHS, PARKED_RETRY_S, PROVED_S, Backoff


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_backoff() -> tuple[Backoff, Clock]:
    clock = Clock()
    return Backoff(clock=clock, jitter=lambda: 0.0), clock


def test_a_first_death_is_made_good_at_once() -> None:
    """A worker that had served is replaced without a pause."""
    backoff, _ = make_backoff()

    assert backoff.after_death(ready_for_s=5.0) == 0.0


def test_a_failed_boot_waits() -> None:
    """One that never was ready would fail again."""
    backoff, _ = make_backoff()

    assert backoff.after_death(ready_for_s=0.0) == FIRST_DELAY_S


def test_delays_double_and_end_in_the_park() -> None:
    """The last of the series is a loop: tried once a minute from then on."""
    backoff, clock = make_backoff()
    delays = []
    for _ in range(LOOP_DEATHS):
        delays.append(backoff.after_death(0.0))
        clock.now += delays[-1]

    assert delays[:-1] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert delays[-1] == PARKED_RETRY_S
    assert backoff.is_parked


def test_rare_deaths_are_no_loop() -> None:
    """As many deaths over hours do not park a seat."""
    backoff, clock = make_backoff()
    for _ in range(2 * LOOP_DEATHS):
        backoff.after_death(1.0)
        clock.now += 3600

    assert not backoff.is_parked


def test_a_worker_that_proved_itself_wipes_the_slate() -> None:
    """After a minute of service a death is a first death again."""
    backoff, _ = make_backoff()
    for _ in range(3):
        backoff.after_death(0.0)

    assert backoff.after_death(PROVED_S) == 0.0


def test_a_roll_forgives() -> None:
    """Other code starts with a clean slate."""
    backoff, _ = make_backoff()
    for _ in range(LOOP_DEATHS):
        backoff.after_death(0.0)
    backoff.forgive()

    assert not backoff.is_parked
