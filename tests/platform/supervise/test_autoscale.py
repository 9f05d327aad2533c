"""How many workers a pool needs, second by second."""

from __future__ import annotations

from kirsch.spec import Workers
from kirsch.spec.pool import Scaling
from kirsch.supervise.autoscale import Autoscaler, Busy, Queue, measure

BOUNDS = Workers(min=2, max=8)
SCALING = Scaling(up_at=0.75, down_at=0.3, up_after_s=6, down_after_s=60)


def run(loads: list[float], wanted: int = 2, scaling: Scaling = SCALING, bounds: Workers = BOUNDS) -> list[int]:
    """Return the number of workers after each second of *loads*."""
    scaler = Autoscaler()
    found = []
    for now, load in enumerate(loads):
        wanted = scaler.decide(scaling, bounds, wanted, load, float(now))
        found.append(wanted)
    return found


def test_high_load_has_to_last() -> None:
    """Five seconds are a burst; after six there is one more."""
    assert run([0.9] * 6 + [0.5] + [0.9] * 6) == [2] * 13
    assert run([0.8] * 7)[-2:] == [2, 3]


def test_it_grows_by_what_is_missing_and_stops_at_max() -> None:
    """A third more at full load, at least one, each step after a time of its own."""
    counts = run([1.0] * 40)

    assert sorted(set(counts)) == [2, 3, 4, 6, 8]
    assert counts.count(3) == 7
    assert counts[-1] == 8


def test_it_shrinks_slowly_and_not_below_min() -> None:
    """One by one, a minute each."""
    counts = run([0.05] * 200, wanted=4)

    assert counts[59] == 4
    assert counts[60] == 3
    assert counts[-1] == 2


def test_it_does_not_swing() -> None:
    """What remains after shrinking has to bear the load: no step down that calls for a step up."""
    scaling = Scaling(up_at=0.5, down_at=0.4, up_after_s=1, down_after_s=1)

    assert set(run([0.35] * 50, wanted=3, scaling=scaling)) == {3}
    assert set(run([0.5] * 300, wanted=4)) == {4}


def test_what_is_fixed_stays() -> None:
    """No automatic scaling where it is off, or min is max."""
    assert set(run([1.0] * 60, scaling=Scaling(auto=False))) == {2}
    assert set(run([1.0] * 60, bounds=Workers(min=2, max=2))) == {2}


def test_a_number_outside_of_the_bounds_comes_back() -> None:
    """Set by hand to 1, then given back to the load."""
    assert run([0.5], wanted=1) == [2]


def test_load_is_the_nearer_end() -> None:
    """Threads or processor, the mean of all workers; 1 as soon as a request has no worker."""
    busy = [Busy(in_flight=5, threads=10, cpu_share=0.2), Busy(in_flight=1, threads=10, cpu_share=0.9)]

    assert measure(busy, waiting=0) == 0.7
    assert measure(busy, waiting=1) == 1.0
    assert measure([], waiting=0) == 0.0
    assert Busy(in_flight=50, threads=10, cpu_share=0.0).load == 1.0


def run_queue(waits: list[float], wanted: int = 2, load: float = 0.4) -> list[int]:
    """Return the number of workers after each second of *waits*, while the load stays as it is."""
    scaler = Autoscaler()
    found = []
    for now, queue_s in enumerate(waits):
        wanted = scaler.decide(SCALING, BOUNDS, wanted, load, float(now), queue_s)
        found.append(wanted)
    return found


def test_a_long_queue_calls_for_workers() -> None:
    """Though threads and processors have time; a queue that comes and goes does not."""
    assert run_queue([0.2] * 7)[-2:] == [2, 3]
    assert set(run_queue(([0.2] * 5 + [0.0]) * 5)) == {2}
    assert run_queue([0.2] * 100)[-1] == BOUNDS.max


def test_nobody_goes_while_requests_wait() -> None:
    """Between the two marks nothing changes: 100 ms to grow, 25 ms to shrink."""
    assert set(run_queue([0.05] * 200, wanted=4, load=0.05)) == {4}
    assert run_queue([0.02] * 61, wanted=4, load=0.05)[-1] == 3


def test_a_queue_is_the_mean_since_the_look_before() -> None:
    """Sums in, means out; nothing where nothing was measured, or the sums began anew."""
    queue = Queue()

    assert [queue.look(1.0, 10), queue.look(1.0, 10), queue.look(3.0, 14), queue.look(0.0, 0)] == [0.1, 0.0, 0.5, 0.0]
