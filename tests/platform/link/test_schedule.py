"""When jobs are due, by a clock that is set at will; and that one of many members runs them."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from typing import Any

import pytest

import kirsch.link
from cherrypy.process.plugins import Monitor
from cherrypy.process.wspbus import Bus
from kirsch.errors import BusError
from kirsch.link.keeper import Lease
from kirsch.link.schedule import Cron, Schedule, read_schedule

Wait = Callable[..., None]


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("expression", "zone", "now", "then"),
    [
        ("30 3 * * *", "UTC", "2026-03-01T03:29:59+00:00", "2026-03-01T03:30:00+00:00"),
        ("30 3 * * *", "UTC", "2026-03-01T03:30:00+00:00", "2026-03-02T03:30:00+00:00"),
        ("*/15 * * * mon-fri", "UTC", "2026-03-06T23:45:00+00:00", "2026-03-09T00:00:00+00:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),
    ],
)
def test_cron_expressions(expression: str, zone: str, now: str, then: str) -> None:
    """Also in the nights in which clocks are set."""
    delay_s, slot = Cron(expression, zone).next_after(moment(now))

    assert slot == moment(then)
    assert delay_s == moment(then) - moment(now)


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": None, "cron": None},
        {"every": 5, "cron": "* * * * *"},
        {"every": 0, "cron": None},
        {"every": "5", "cron": None},
        {"every": None, "cron": "61 * * * *"},
        {"every": None, "cron": "daily"},
    ],
)
def test_wrong_schedules_are_refused_where_they_are_written(wrong: dict[str, Any]) -> None:
    """Not when they are due."""
    with pytest.raises(BusError) as error:
        read_schedule(**wrong, timezone=None)

    assert error.value.kind == "bad_schedule"


def test_a_clock_that_jumps_runs_nothing_twice() -> None:
    """Back: what has run does not run again. Ahead: what was missed runs, once."""
    cluster = kirsch.link.join(Bus())
    clock = [moment("2026-03-01T02:59:50+00:00")]
    cluster._line.hub.leases._wall = lambda: clock[0]  # type: ignore[attr-defined]
    ran: list[float] = []
    job = Schedule(
        cluster, lambda: ran.append(clock[0]), Cron("0 * * * *", "UTC"), "job", "cluster", 10, wall=lambda: clock[0]
    )

    def sleep(seconds: float) -> bool:
        clock[0] += seconds
        return False

    def jump(seconds: float) -> Callable[[float], bool]:
        def wait(delay_s: float) -> bool:
            clock[0] += seconds
            return False

        return wait

    steps = [job.step(sleep)]  # 03:00
    clock[0] -= 600
    steps += [job.step(sleep) for _ in range(20)]  # until 03:00 comes again
    again = len(ran)
    steps.append(job.step(jump(7200)))  # beyond 04:00 and 05:00
    steps.append(job.step(jump(-86400)))
    steps.append(job.step(sleep))

    assert steps[0]
    assert again == 1
    assert len(ran) == 2
    assert ran[1] >= moment("2026-03-01T04:00:00+00:00")


def test_one_of_many_runs_it(world: Any, eventually: Wait) -> None:
    """In each period one call, never two at once, whoever of them comes and goes."""
    members = world.join_many(5)
    inside, most, ran = [0], [0], []
    lock = threading.Lock()
    enough = threading.Event()

    for member in members:

        def job(lease: Lease, who: str = member.me.name) -> None:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                ran.append((lease.token, who))
            if len(ran) >= 8:
                enough.set()
            with lock:
                inside[0] -= 1

        member.once(every=0.1, name="job")(job)
        member.bus.start()
    assert enough.wait(20)
    first = next(member for member in members if member.me.name == ran[0][1])
    first.leave()
    for member in members:
        member.bus.stop()
    tokens = [token for token, _ in ran]

    assert most == [1]
    assert tokens == sorted(set(tokens))


def test_leases_of_members_that_leave_are_free(world: Any, eventually: Wait) -> None:
    """At once when they say good-bye."""
    first, second = world.join_many(2)
    lease = first.take("job")
    refused = second.take("job")
    first.leave()
    taken: list[Any] = []
    eventually(lambda: taken or taken.append(second.take("job")) or taken[-1] or taken.clear())

    assert lease is not None
    assert refused is None
    assert taken[0].token > lease.token
    assert not lease.is_held


def test_a_lease_is_renewed_until_it_is_lost(world: Any, eventually: Wait) -> None:
    """Long beyond its time; who was cut off knows by the clock that it is over."""
    first, second = world.join_many(2)
    lease = first.take("job", ttl_s=0.6)
    assert lease is not None
    began = lease._until
    eventually(lambda: lease._until > began + 0.6)
    refused = second.take("job")
    first._line.send = lambda frame: False  # type: ignore[method-assign]
    taken: list[Any] = []
    eventually(lambda: taken or taken.append(second.take("job", ttl_s=5)) or taken[-1] or taken.clear())
    held = lease.is_held

    assert refused is None
    assert not held
    assert taken[0].token > lease.token


def test_a_monitor_runs_once(world: Any) -> None:
    """The documented plugin, by its keyword; names have to be equal for that, not objects."""
    members = world.join_many(3)
    ran: list[int] = []
    enough = threading.Event()

    def clean_up() -> None:
        ran.append(1)
        if len(ran) == 4:
            enough.set()

    for member in members:
        member.bus.cluster = member
        monitor = Monitor(member.bus, clean_up, 0.2, name="clean-up", run_once="cluster")
        monitor.subscribe()
        member.bus.start()
    assert enough.wait(20)
    entry = "monitor clean-up"
    for member in members:
        member.bus.stop()

    assert entry in world.known_leases()
