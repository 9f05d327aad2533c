"""Only one deploy at a time; and what becomes of a lock whose holder is gone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from kirsch.errors import LockHeld
from kirsch.release.lock import Holder, hold_lock, read_holder
from kirsch.release.shell import LocalShell

SHELL = LocalShell()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the lock is."""
    return f"{tmp_path}/deploy.lock"


def leave(path: str, **changes: object) -> None:
    """Leave a lock behind as its holder, changed as said."""
    with hold_lock(SHELL, path, verb="kirsch deploy"):
        holder = read_holder(SHELL, path)
    assert holder is not None
    SHELL.write(path, msgspec.json.encode(msgspec.structs.replace(holder, **changes)))


def test_second_holder_is_told_who_the_first_is(path: str) -> None:
    """The refusal says who, what, and since when."""
    with hold_lock(SHELL, path, verb="kirsch deploy"), pytest.raises(LockHeld) as caught:
        with hold_lock(SHELL, path, verb="kirsch down"):
            pass

    assert "kirsch deploy" in str(caught.value)
    assert caught.value.holder["pid"]


def test_lock_is_given_back(path: str) -> None:
    """Also after an exception."""
    with pytest.raises(RuntimeError), hold_lock(SHELL, path, verb="x"):
        raise RuntimeError

    assert SHELL.read(path) is None


def test_lease_that_ran_out_is_taken_over(path: str) -> None:
    """A holder elsewhere that does not renew any more is gone."""
    leave(path, machine="elsewhere", until=1.0)

    with hold_lock(SHELL, path, verb="x") as stale:
        assert isinstance(stale, Holder)
        assert stale.machine == "elsewhere"


def test_dead_process_loses_its_lock_at_once(path: str) -> None:
    """On the same machine nobody has to wait for the lease."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    leave(path, pid=ended.pid)

    with hold_lock(SHELL, path, verb="x") as stale:
        assert stale is not None


def test_reused_process_id_is_not_the_holder(path: str) -> None:
    """The number lives, but it was started at another time."""
    leave(path, started="1")

    with hold_lock(SHELL, path, verb="x") as stale:
        assert stale is not None


def test_living_holder_elsewhere_is_respected(path: str) -> None:
    """Its process cannot be looked at from here; its lease counts."""
    leave(path, machine="elsewhere", pid=1, until=2**40)

    with pytest.raises(LockHeld), hold_lock(SHELL, path, verb="x"):
        pass


def test_garbage_is_taken_over(path: str) -> None:
    """A lock file that a full disk cut short holds nobody."""
    SHELL.write(path, b"{")

    with hold_lock(SHELL, path, verb="x"):
        assert read_holder(SHELL, path) is not None


def test_lease_is_renewed(path: str) -> None:
    """While the holder is at work its lease moves on."""
    with hold_lock(SHELL, path, verb="x", lease_s=0.05):
        first = read_holder(SHELL, path)
        assert first is not None
        deadline = time.monotonic() + 20
        while (now := read_holder(SHELL, path)) and now.until == first.until and time.monotonic() < deadline:
            time.sleep(0.01)

        assert now is not None
        assert now.until > first.until


def test_stolen_lock_is_not_removed_by_its_old_holder(path: str) -> None:
    """Somebody else's lock stays when a holder that had lost it comes to its end."""
    with hold_lock(SHELL, path, verb="x"):
        holder = read_holder(SHELL, path)
        assert holder is not None
        SHELL.write(path, msgspec.json.encode(msgspec.structs.replace(holder, token="other")))

    assert SHELL.read(path) is not None
