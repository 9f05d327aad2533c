"""One supervisor a run directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kirsch.errors import SuperviseError
from kirsch.supervise.lock import SupervisorLock


def test_the_second_one_learns_who_runs(tmp_path: Path) -> None:
    """The holder's pid is in the message and in the report."""
    path = str(tmp_path / "supervisor.pid")
    first = SupervisorLock(path)
    first.take()
    with pytest.raises(SuperviseError, match=f"process {os.getpid()}") as caught:
        SupervisorLock(path).take()

    assert caught.value.report == {"pid": str(os.getpid())}
    assert Path(path).read_text() == f"{os.getpid()}\n"


def test_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    """The file that a killed supervisor left is taken over."""
    path = tmp_path / "supervisor.pid"
    path.write_text("999999\n")
    lock = SupervisorLock(str(path))
    lock.take()

    assert path.read_text() == f"{os.getpid()}\n"

    lock.drop()

    assert not path.exists()
