"""Processes: names that last, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from kirsch.supervise import process


def test_a_process_is_itself() -> None:
    """Pid and start name it."""
    ticks = process.start_ticks(os.getpid())
    assert ticks is not None

    assert process.is_same(os.getpid(), ticks)
    assert not process.is_same(os.getpid(), ticks + 1)
    assert process.rss_bytes(os.getpid()) > 2**20


def test_a_zombie_is_not_alive() -> None:
    """A process that ended and was not waited for has no start any more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert process.start_ticks(child.pid) is None

    child.wait()

    assert process.open_pidfd(child.pid) is None
    assert not process.send_signal(child.pid, signal.SIGTERM)
    assert process.rss_bytes(child.pid) == 0


@pytest.mark.parametrize(
    ("returncode", "words"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "killed by SIGKILL"), (-77, "signal 77")]
)
def test_endings_say_what_happened(returncode: int, words: str) -> None:
    """Exit status or signal, by name where it has one."""
    assert words in str(process.Ending.from_returncode(returncode))


def test_an_editor_is_no_worker(tmp_path: object) -> None:
    """A process counts as a worker by its whole command line."""
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, f"{tmp_path}/workers/web.1.json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = process.find_workers(f"{tmp_path}/workers")
        child.communicate()

    assert found == {}
