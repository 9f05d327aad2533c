"""Processes as the kernel knows them: alive or not, since when, how large; also those that are nobody's children."""

from __future__ import annotations

import os
import pwd
import signal
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: Of a task's flags, in the kernel's ``include/linux/sched.h``: it exits, or has taken the signal that ends it.
_PF_LEAVING = 0x4 | 0x400
#: Lines of /proc/PID/status: signals that wait for the thread, and for the process.
_PENDING = frozenset({"SigPnd:", "ShdPnd:"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended; both None when it was not our child, so that nobody told us."""

    exit_status: int | None = None
    signal: str | None = None

    @classmethod
    def from_returncode(cls, returncode: int) -> Ending:
        """Read what ``Popen.returncode`` says: a negative number is a signal."""
        if returncode >= 0:
            return cls(exit_status=returncode)
        try:
            return cls(signal=signal.Signals(-returncode).name)
        except ValueError:
            return cls(signal=f"signal {-returncode}")

    def __str__(self) -> str:
        if self.signal is not None:
            return f"killed by {self.signal}"
        return "ended" if self.exit_status is None else f"exit status {self.exit_status}"


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if there is none.

    A pid alone may have been given to another process meanwhile; pid and start together name one for ever.
    """
    stat = _read_stat(pid)
    return int(stat[19]) if stat is not None and stat[0] not in {"Z", "X"} else None


def is_same(pid: int, ticks: int) -> bool:
    """True when the process that started at *ticks* still lives as *pid*."""
    return start_ticks(pid) == ticks


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 if there is none."""
    stat = _read_stat(pid)
    return int(stat[21]) * _PAGE_BYTES if stat is not None else 0


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used; 0 if there is none."""
    stat = _read_stat(pid)
    return (int(stat[11]) + int(stat[12])) / _TICKS_PER_S if stat is not None else 0.0


def is_runnable(pid: int) -> bool:
    """True when a process would go on if it had a processor, or what it waits for from the disk."""
    stat = _read_stat(pid)
    return stat is not None and stat[0] in {"R", "D"}


def is_dying(pid: int) -> bool:
    """True when a process is on its way out, or gone: its sockets accept until the kernel has taken it apart."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    stat = _read_stat(pid)
    killed = any(
        int(line.split()[1], 16) & 1 << signal.SIGKILL - 1 for line in status.splitlines() if line[:7] in _PENDING
    )
    return killed or stat is None or stat[0] in {"Z", "X"} or bool(int(stat[6]) & _PF_LEAVING)


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None if it has ended. To be closed."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def reap(pid: int) -> Ending:
    """Take a process that has ended off the kernel's list if it is our child, and say how it ended."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return Ending()
    return Ending.from_returncode(os.waitstatus_to_exitcode(status)) if found else Ending()


def send_signal(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False if there is no such process any more."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def give_to(path: str, user: str | None) -> None:
    """Make a file the property of *user*, if we are root and it is anybody else."""
    if user is not None and os.getuid() == 0:
        os.chown(path, pwd.getpwnam(user).pw_uid, -1)


def find_workers(folder: str) -> dict[int, int]:
    """Return {pid: start ticks} of the workers whose orders lie in *folder*.

    SECURITY: the whole command line has to fit; an editor that has such a file open is no worker.
    """
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            arguments = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue  # gone meanwhile
        if arguments[-3:-1] == [b"-m", b"kirsch.worker"] and os.path.dirname(arguments[-1]) == os.fsencode(folder):
            ticks = start_ticks(int(process.name))
            if ticks is not None:
                found[int(process.name)] = ticks
    return found


def _read_stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the command's name, state first."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
