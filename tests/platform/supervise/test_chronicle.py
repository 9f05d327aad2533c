"""What a supervisor remembers, and what becomes of it when another takes its place."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from kirsch.observe.history import Sample
from kirsch.scoreboard import Counters
from kirsch.spec import HostPaths
from kirsch.supervise import chronicle
from kirsch.supervise.chronicle import Chronicle
from kirsch.supervise.events import Events


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    """A run directory."""
    found = HostPaths(root=str(tmp_path / "root"), run=str(tmp_path / "run"))
    os.makedirs(found.run)
    return found


class Slept(Exception):
    """Ends what would go on for ever."""


def write_once(found: Chronicle, monkeypatch: pytest.MonkeyPatch, took_s: float = 0.0) -> float:
    """Take one sample that takes so long; return the pause after it."""
    pauses: list[float] = []
    clock = [0.0]

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        raise Slept

    def sample() -> Sample:
        clock[0] += took_s
        return Sample(Counters())

    monkeypatch.setattr(chronicle.asyncio, "sleep", sleep)
    monkeypatch.setattr(chronicle.time, "monotonic", lambda: clock[0])
    with pytest.raises(Slept):
        asyncio.run(found.write(sample))
    monkeypatch.undo()
    return pauses[0]


def test_the_next_supervisor_goes_on_where_this_one_left(paths: HostPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks, columns and the beginning; what was kept is taken once."""
    events, now = Events(), time.time()
    first = Chronicle(paths, events, now - 60)
    events.say("rolled", release="r2", generation=2)
    first.history.record(now - 20, Sample(Counters()))
    first.history.record(now - 10, Sample(Counters()))
    first.keep()
    second = Chronicle(paths, Events(), now)
    write_once(second, monkeypatch)
    third = Chronicle(paths, Events(), now)
    write_once(third, monkeypatch)

    assert [mark.text for mark in second.history.past().marks] == ["rolled to r2 (generation 2)"]
    assert second.history.past().since == pytest.approx(now - 60)
    assert third.history.past().columns == ()
    assert os.listdir(paths.run) == []


def test_a_large_stack_is_looked_at_less_often(paths: HostPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a second, and no more than a fiftieth of the time."""
    found = Chronicle(paths, Events(), time.time())

    assert write_once(found, monkeypatch, 0.001) == 1.0
    assert write_once(found, monkeypatch, 0.1) == pytest.approx(5.0)


def test_where_nothing_can_be_kept_the_supervisor_goes_on(paths: HostPaths) -> None:
    """A full disk, a directory that is gone."""
    found = Chronicle(paths, Events(), time.time())
    os.rmdir(paths.run)
    found.keep()

    assert not os.path.exists(paths.run)
