"""Who is silent, and who had only no chance to speak: by a clock that is told."""

from __future__ import annotations

import asyncio
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from kirsch.spec.probe import Health
from kirsch.supervise import watch
from kirsch.supervise.pulse import Pulse

LIMIT_S = 10.0


def look_every_second(pulse: Pulse, seconds: int, *, beat: float, cpu: float = 0.0, is_runnable: bool = False) -> float:
    """Look so many times at a worker whose last heartbeat was at *beat*; it uses *cpu* of each second."""
    for now in range(1, seconds + 1):
        pulse.look(now, now - beat, cpu_s=cpu * now, is_runnable=is_runnable)
    return pulse.silent_s


def test_a_stopped_worker_is_found_out() -> None:
    """No heartbeat, no processor time: silent from the first look that found nothing new."""
    pulse = Pulse()
    pulse.look(0.0, 0.0, cpu_s=3.0, is_runnable=False)
    for now in range(1, 12):
        silent_s = pulse.look(now, now, cpu_s=3.0, is_runnable=False)

    assert silent_s > LIMIT_S


def test_a_worker_that_beats_is_never_silent() -> None:
    """Each beat starts the count anew, whatever was before."""
    pulse = Pulse()
    look_every_second(pulse, 8, beat=0.0)
    before = pulse.silent_s
    after = pulse.look(9.0, 0.1, cpu_s=0.0, is_runnable=False)

    assert before > 5.0
    assert after == 0.0


def test_a_supervisor_that_did_not_run_blames_nobody() -> None:
    """It comes back after a minute, before its workers: one look is one second, and then they beat."""
    pulse = Pulse()
    pulse.look(0.0, 0.2, cpu_s=0.0, is_runnable=False)
    after_the_stop = pulse.look(60.0, 60.2, cpu_s=0.0, is_runnable=False)
    then = pulse.look(61.0, 0.4, cpu_s=0.0, is_runnable=False)

    assert after_the_stop <= 1.0
    assert then == 0.0


def test_stops_in_a_row_blame_nobody_either() -> None:
    """A machine that gives everybody a moment every four seconds: ten looks, less than ten seconds of silence."""
    pulse = Pulse()
    for number in range(10):
        silent_s = pulse.look(4.0 * number, 4.0 * number + 0.3, cpu_s=0.0, is_runnable=False)

    assert silent_s < LIMIT_S


def test_who_lacks_a_processor_gets_longer() -> None:
    """It runs, or would: three times as long as one that sleeps; a loop that never ends is found out all the same."""
    starved = look_every_second(Pulse(), 12, beat=0.0, is_runnable=True)
    slow = look_every_second(Pulse(), 12, beat=0.0, cpu=0.05)
    endless = look_every_second(Pulse(), 40, beat=0.0, cpu=0.9)

    assert starved < LIMIT_S
    assert slow < LIMIT_S
    assert endless > LIMIT_S


class Silent:
    """A worker whose last heartbeat was a minute before the clock began."""

    name = "web.1"
    pid = os.getpid()
    order = SimpleNamespace(record=1)

    def __init__(self, clock: Any, killed: list[signal.Signals]) -> None:
        self.board = SimpleNamespace(glance=lambda record: SimpleNamespace(heartbeat_age_s=clock.now - 940.0))
        self.signal = killed.append


def test_the_watch_kills_by_silence_and_not_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat that is a minute old when it is looked at first costs nobody's life; ten seconds of looking do."""
    clock = SimpleNamespace(now=1000.0)
    killed: list[signal.Signals] = []
    worker: Any = Silent(clock, killed)
    fleet: Any = SimpleNamespace(
        state=SimpleNamespace(stack=SimpleNamespace(health=Health())),
        site=SimpleNamespace(events=SimpleNamespace(say=lambda *args, **details: None)),
    )
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(watch, "cpu_seconds", lambda pid: 0.0)
    monkeypatch.setattr(watch, "is_runnable", lambda pid: False)
    eyes = watch.Watch(list, asyncio.Lock(), lambda pool: 0)
    eyes._check_heartbeat(fleet, worker)
    clock.now += 50.0
    eyes._check_heartbeat(fleet, worker)
    after_a_stop = list(killed)
    for _ in range(10):
        clock.now += 1.0
        eyes._check_heartbeat(fleet, worker)

    assert after_a_stop == []
    assert killed == [signal.SIGKILL]
