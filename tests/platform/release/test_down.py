"""Taking a stack down, whatever state it is in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.release.down import leftovers, take_down
from kirsch.release.target import Target


@pytest.fixture
def orphan(target: Target) -> Iterator[subprocess.Popen[bytes]]:
    """A worker whose supervisor is gone: its command line names the run directory, its socket its pid."""
    code = "import signal; print('up', flush=True); signal.pause()"
    argv = [sys.executable, "-c", code, f"{target.paths.workers}/web.1.json"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    Path(target.paths.workers).mkdir(parents=True)
    Path(target.paths.worker_socket("web", 1, process.pid)).touch()
    yield process
    process.kill()
    process.communicate()


def test_supervisor_is_asked_to_stop(target: Target, supervisor: Any) -> None:
    """And the run directory is gone, the root is not."""
    supervisor.running = True
    Path(target.paths.run).mkdir(parents=True)
    Path(target.paths.shared).mkdir(parents=True)
    Path(target.paths.run_link).symlink_to(target.paths.run)
    done = take_down(target, supervisor, purge=False, drain_s=1.0)

    assert not Path(target.paths.run_link).is_symlink()
    assert ("stop", {"drain_s": 1.0}) in supervisor.asked
    assert "stopped the supervisor" in done[0]
    assert not Path(target.paths.run).exists()
    assert Path(target.paths.shared).exists()


def test_workers_without_a_supervisor_are_ended(target: Target, supervisor: Any, orphan: Any) -> None:
    """A supervisor that was killed leaves them; `down` does not."""
    take_down(target, supervisor, purge=False, drain_s=1.0)

    assert orphan.wait(timeout=10) != 0


def test_strangers_are_left_alone(target: Target) -> None:
    """A pid in a stale file may be anybody's by now: here it is this test's own."""
    Path(target.paths.nginx).mkdir(parents=True)
    Path(target.paths.workers).mkdir(parents=True)
    me = os.getpid()
    Path(target.paths.nginx_pid).write_text(f"{me}\n")
    Path(target.paths.supervisor_pid).write_text("no number\n")
    Path(target.paths.worker_socket("web", 1, me)).touch()

    assert leftovers(target.paths) == {}


def test_purge_removes_the_root(target: Target, supervisor: Any) -> None:
    """Shared data too: that is what it says."""
    Path(target.paths.shared).mkdir(parents=True)
    take_down(target, supervisor, purge=True, drain_s=1.0)

    assert not Path(target.paths.root).exists()
