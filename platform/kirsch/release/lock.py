"""Only one deploy at a time on a host: a lock file with its holder's name and a lease.

The file is made with its content in it from the first moment. While the deploy runs a thread renews the lease; a
holder that died leaves a lease that runs out, or, on the same machine, a process id that is no more. Such a lock is
stolen by renaming the very file that was judged, so of two thieves one wins.
"""

from __future__ import annotations

import getpass
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kirsch.errors import LockHeld
from kirsch.release.shell import Shell

LEASE_S = 30.0
RENEW_EVERY_S = 10.0


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock: user and machine, process (with its start, since numbers are used again), until when (Unix
    time), what for.
    """

    who: str
    machine: str
    pid: int
    started: str
    verb: str
    since: float
    until: float
    token: str


@contextmanager
def hold_lock(
    shell: Shell,
    path: str,
    *,
    verb: str,
    who: str | None = None,
    clock: Callable[[], float] = time.time,
    lease_s: float = LEASE_S,
) -> Iterator[Holder | None]:
    """Hold the lock file *path* of a host for the time of the block; yields the holder whose stale lock was taken
    over, if any. *who* is named as its holder instead of this process's user.

    Raises:
        LockHeld: somebody else is at it, with what is known of them.
    """
    stolen = _steal_if_stale(shell, path, clock())
    mine = _describe_self(verb, who or who_am_i(), clock(), lease_s)
    if not shell.create(path, msgspec.json.encode(mine)):
        raise _refusal(shell, path, clock())
    done = threading.Event()
    renewer = threading.Thread(
        target=_renew, args=(shell, path, mine, done, clock, lease_s), name="kirsch-lock", daemon=True
    )
    renewer.start()
    try:
        yield stolen
    finally:
        done.set()
        renewer.join()
        holder = read_holder(shell, path)
        if holder is not None and holder.token == mine.token:
            shell.remove(path)


def read_holder(shell: Shell, path: str) -> Holder | None:
    """Return who holds the lock; None if nobody does, or if the file tells nothing (then it is stale)."""
    raw = shell.read(path)
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=Holder)
    except msgspec.DecodeError:
        return None


def is_stale(holder: Holder, now: float) -> bool:
    """Has the holder's lease run out, or its process ended (as far as this machine can tell)?"""
    if now > holder.until:
        return True
    return holder.machine == _machine() and _process_start(holder.pid) != holder.started


def _steal_if_stale(shell: Shell, path: str, now: float) -> Holder | None:
    raw = shell.read(path)
    if raw is None:
        return None
    holder = read_holder(shell, path)
    if holder is not None and not is_stale(holder, now):
        return None
    aside = f"{path}.stale.{os.urandom(4).hex()}"
    if shell.rename(path, aside):
        if shell.read(aside) != raw:
            # Between the look and the move somebody else stole and locked: theirs is alive, and goes back.
            shell.rename(aside, path)
            return None
        shell.remove(aside)
    return holder


def _refusal(shell: Shell, path: str, now: float) -> LockHeld:
    holder = read_holder(shell, path)
    if holder is None:
        return LockHeld(f"{path} was taken a moment ago: try again", host=shell.name)
    return LockHeld(
        f"{holder.who} is deploying here: `{holder.verb}`, process {holder.pid} on {holder.machine.partition('/')[0]}, "
        f"for {now - holder.since:.0f} s. Wait for it; "
        f"a lock whose holder died is taken over by itself after {LEASE_S:.0f} s",
        host=shell.name,
        holder=msgspec.to_builtins(holder),
    )


def _renew(
    shell: Shell, path: str, mine: Holder, done: threading.Event, clock: Callable[[], float], lease_s: float
) -> None:
    while not done.wait(min(RENEW_EVERY_S, lease_s / 3)):
        holder = read_holder(shell, path)
        if holder is None or holder.token != mine.token:
            return
        shell.write(path, msgspec.json.encode(msgspec.structs.replace(mine, until=clock() + lease_s)))


def _describe_self(verb: str, who: str, now: float, lease_s: float) -> Holder:
    pid = os.getpid()
    return Holder(
        who=who,
        machine=_machine(),
        pid=pid,
        started=_process_start(pid),
        verb=verb,
        since=now,
        until=now + lease_s,
        token=os.urandom(8).hex(),
    )


def who_am_i() -> str:
    """Return user@host of this process, the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _machine() -> str:
    """Name this machine until it boots again: process ids mean nothing elsewhere, nor after a reboot."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text().strip() if boot.exists() else ''}"


def _process_start(pid: int) -> str:
    """Return when a process was started, in ticks since boot; empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = stat.rpartition(")")[2].split()
    # a zombie has ended, whether or not somebody has waited for it
    return "" if fields[0] == "Z" else fields[19]
