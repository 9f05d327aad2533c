"""Births that the kernel refuses: told in words, and nothing is left of them."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from typing import Any

import pytest

from kirsch.errors import BootFailed
from kirsch.supervise.events import Events
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.launch import launch_for
from kirsch.supervise.process import find_workers, is_dying
from kirsch.supervise.report import environment_difference
from kirsch.supervise.rundir import RunDir
from kirsch.supervise.site import Site


@pytest.fixture
def fleet(host: Any) -> Fleet:
    """A pool of two seats with nobody in it."""
    rundir = RunDir(host.paths, None)
    rundir.prepare()
    site = Site(
        host.paths,
        rundir,
        Events(),
        launch_for(host.paths, lambda state, pool: None),
        lambda: None,
        lambda work: work.close(),
    )
    return Fleet(site, host.state(), "web", 1)


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EAGAIN, errno.EMFILE])
def test_no_memory_for_a_fork(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The report has the kernel's words; record and descriptors are free again, and a later boot can have them."""

    def refuse(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    before = len(os.listdir("/proc/self/fd"))
    failures = []
    for _ in range(3 * fleet.ledger.board.records):  # more often than there are records
        with pytest.raises(BootFailed) as caught:
            asyncio.run(fleet.boot(1, fleet.state, 1))
        failures.append(caught.value)

    assert os.strerror(number) in str(failures[-1])
    assert failures[-1].report["step"] == "spawn"
    assert len(os.listdir("/proc/self/fd")) <= before
    assert not fleet.booting


def test_no_descriptor_to_see_its_end(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody lives whom nobody watches: it is killed, and nothing of it is left open here."""

    def refuse(pid: int) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("kirsch.supervise.worker.open_pidfd", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BootFailed, match="Too many open files"):
        asyncio.run(fleet.boot(1, fleet.state, 1))
    living = find_workers(fleet.site.paths.workers)

    assert [pid for pid in living if not is_dying(pid)] == []
    assert len(os.listdir("/proc/self/fd")) <= before
    assert not fleet.booting
    assert fleet.ledger.take() == 1


@pytest.mark.parametrize("error", [MemoryError("none left"), OSError(errno.EMFILE, "none left")])
def test_a_boot_that_breaks_off_is_tried_again(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Wherever the supervisor itself runs short, the seat is not forgotten."""

    async def refuse(*args: object) -> None:
        raise error

    async def scene() -> tuple[bool, dict[str, Any]]:
        fleet.keep_filled()
        seat = fleet.seats[1]
        first = seat.replacing
        assert first is not None
        await first
        is_tried_again = seat.replacing is not None and seat.replacing is not first and not seat.replacing.done()
        for one in fleet.seats.values():
            one.stop_replacing()
        return is_tried_again, seat.last_failure or {}

    monkeypatch.setattr(fleet, "boot", refuse)
    is_tried_again, report = asyncio.run(scene())

    assert is_tried_again
    assert "none left" in report["message"]


def test_a_seat_tries_again_later_and_later(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not spin while the machine has nothing to give; the status has the reason."""
    tries: list[int] = []

    def refuse(*args: object, **options: object) -> None:
        tries.append(1)
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    async def scene() -> None:
        fleet.keep_filled()
        await asyncio.sleep(0.3)
        for seat in fleet.seats.values():
            seat.stop_replacing()

    monkeypatch.setattr(subprocess, "Popen", refuse)
    asyncio.run(scene())

    assert len(tries) == 2
    assert all("Cannot allocate memory" in str(seat.last_failure) for seat in fleet.seats.values())


def test_what_of_the_environment_changed_is_named_without_values() -> None:
    """Names only: values are secrets as often as not."""
    before = {"PATH": "/bin", "TOKEN": "a", "OLD": "1"}
    now = {"PATH": "/bin", "TOKEN": "b", "NEW": "2"}

    assert environment_difference(before, now) == {"added": ["NEW"], "removed": ["OLD"], "changed": ["TOKEN"]}
    assert environment_difference(before, before) == {}
    assert environment_difference(None, now) == {}
