"""Threads that come by need and leave again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from cherrypy.httpd import crew as crew_module
from cherrypy.httpd.baton import Baton, Seat
from cherrypy.httpd.crew import Crew


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Give the event that ends the threads of the tests."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def make(over: threading.Event) -> Callable[..., Crew]:
    """Give a function that makes a crew whose threads only wait for the end."""
    return lambda most=0: Crew(Baton(), lambda seat, patience_s: over.wait(10) is None, most)  # type: ignore[arg-type]


def test_everybody_hired_is_counted(make: Callable[..., Crew]) -> None:
    """With a seat of its own and a name of CherryPy's."""
    crew = make()

    hired = crew.hire(3)

    assert (hired, len(crew.seats), len(set(crew.seats))) == (3, 3, 3)
    assert [thread.name for thread in crew.threads] == [f"CP Server Thread-{number}" for number in (1, 2, 3)]
    assert all(thread.is_alive() for thread in crew.threads)


@pytest.mark.parametrize(("most", "hired"), [(0, 0), (-1, 0), (2, 0), (3, 1), (4, 2)])
def test_by_need_only_up_to_the_most(make: Callable[..., Crew], most: int, hired: int) -> None:
    """One at a time; without a most nobody."""
    crew = make(most)
    crew.hire(2)

    came = [crew.hire_by_need() for _ in range(5)]

    assert came == [True] * hired + [False] * (5 - hired)
    assert len(crew.seats) == 2 + hired


def test_who_retires_leaves_its_counters() -> None:
    """Statistics never fall."""
    baton = Baton()
    crew: Crew

    def work(seat: Seat, patience_s: float) -> None:
        seat.serial, seat.returns, seat.bytes_in, seat.bytes_out = 5, 1, 7, 9
        crew.retire(seat)

    crew = Crew(baton, work)
    crew.hire(2)
    deadline = threading.Event()
    while crew.threads and not deadline.wait(0.001):
        pass

    assert (crew.seats, crew.threads) == ([], [])
    assert (crew.gone.serial, crew.gone.returns, crew.gone.bytes_in, crew.gone.bytes_out) == (10, 2, 14, 18)


def test_nobody_retires_who_is_in_anothers_place() -> None:
    """As long as so many wait for clients; then all who came do."""
    results: list[bool] = []
    waiting = [2]

    def work(seat: Seat, patience_s: float) -> None:
        results.append(crew.retire(seat))

    crew = Crew(Baton(), work)
    crew.reserve = 2
    crew.count_replaced = lambda: waiting[0]
    gate = threading.Event()
    crew.work = lambda seat, patience_s: gate.wait(10) is None or work(seat, patience_s)  # type: ignore[assignment,func-returns-value]
    crew.hire(4)
    gate.set()
    for thread in crew.threads:
        thread.join(5)
    kept = list(results)
    waiting[0] = 0
    for seat in crew.seats:
        results.append(crew.retire(seat))

    assert kept == [False] * 4
    assert results[4:] == [True, True, False, False]


def test_those_in_the_place_of_others_do_not_count_by_need(make: Callable[..., Crew]) -> None:
    """Threads that wait for clients are not the pool's for that time."""
    crew = make(3)
    crew.hire(2)
    crew.count_replaced = lambda: 2

    assert [crew.hire_by_need() for _ in range(5)] == [True] * 3 + [False] * 2


def test_who_is_needed_no_more_is_not_hired(make: Callable[..., Crew]) -> None:
    """Asked when it is the caller's turn."""
    crew = make()

    assert crew.hire_in_place(5, lambda: len(crew.seats) < 1)
    assert not crew.hire_in_place(5, lambda: len(crew.seats) < 1)
    assert len(crew.seats) == 1


def test_nobody_is_hired_when_it_is_over(make: Callable[..., Crew]) -> None:
    """A server that stops needs no more threads."""
    crew = make(5)
    crew.baton.stop_watching()

    assert crew.hire(1) == 0
    assert crew.hire_by_need() is False


def test_those_hired_by_need_have_little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for ever."""
    waits: list[float] = []
    crew = Crew(Baton(), lambda seat, patience_s: waits.append(patience_s), 2)
    monkeypatch.setattr(crew_module, "SPARE_S", 7.0)

    crew.hire(1)
    crew.threads[0].join(5)
    crew.hire_by_need()
    crew.threads[1].join(5)

    assert waits == [-1, 7]


def test_a_system_without_further_threads_does_not_end_the_watcher(
    make: Callable[..., Crew], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that are there go on; asked for at the start, it is an error."""
    crew = make(5)
    crew.hire(1)
    before = crew.seats

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert crew.hire_by_need() is False
    assert "no further thread threads=1 reason=can't start new thread" in caplog.text
    with pytest.raises(RuntimeError, match="can't start"):
        crew.hire(1)
    assert crew.seats == before


def test_the_baton_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """False after the patience; True at once if it is free."""
    baton = Baton()
    first, second = Seat(baton), Seat(baton)

    assert baton.take(first)
    assert not baton.take(second, 0.01)
    baton.release()
    assert baton.take(second, 0.01)
    assert baton.holder is second
