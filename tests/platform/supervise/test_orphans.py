"""Ended children that nobody waits for."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from kirsch.supervise.orphans import OrphanReaper


def end_a_child() -> int:
    """Start a process that ends, and do not wait for it."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.returncode = 0  # so that nothing else waits for it
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return child.pid


def test_one_that_stays_is_reaped_at_the_second_look() -> None:
    """Whoever waits for its own child does so before that."""
    pid = end_a_child()
    reaper = OrphanReaper()
    first, second = reaper.look([]), reaper.look([])

    assert pid not in first
    assert pid in second
    assert not Path(f"/proc/{pid}").exists()


def test_workers_are_left_to_their_watchers() -> None:
    """They read how their worker ended."""
    pid = end_a_child()
    reaper = OrphanReaper()
    looks = [reaper.look([pid]) for _ in range(3)]

    assert not any(pid in ended for ended in looks)
    assert Path(f"/proc/{pid}").exists()

    reaper.look([])

    assert pid in reaper.look([])
