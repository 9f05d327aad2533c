"""Another binary in the place of the one that runs, without closing a listening socket.

nginx's "upgrading an executable on the fly": the old master hands its listening sockets to a new one (USR2), both serve
for a moment, the old one's processes take no more connections (WINCH), and when the new ones are proven the old master
ends with the last of its requests (QUIT). Until then it can take everything back.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from kirsch.nginx.master import Master, end_process, is_serving, serving_children, troubles

TAKEOVER_TIMEOUT_S = 20.0
RETURN_TIMEOUT_S = 20.0
END_TIMEOUT_S = 30.0
POLL_S = 0.02

Prove = Callable[[frozenset[int]], list[str]]
"""Waits until none of these processes takes connections and all new ones serve; what is wrong if they do not."""

# nginx tries a port that another process has for 2.5 s before it gives up
_BIND_TRY = "bind() to "


def exchange(master: Master, error_log: str, prove: Prove, restore: Callable[[], None]) -> list[str]:
    """Have *master*'s own binary take over; empty, or why it did not and the one before serves on.

    *restore* puts the configuration of the one before back in its place: it is called before that one is asked to serve
    again, for it may not be able to read what was written for the other.
    """
    old = master.pid()
    if old is None:
        return ["nginx ended before it could be signalled"]
    if words := _hindrance(master, old):
        return [words]
    before = os.readlink(f"/proc/{old}/exe").removesuffix(" (deleted)")
    workers = master.serving_workers()
    log = _Since(error_log)
    with _KeptSocket(master.marker):
        master.point()
        os.kill(old, signal.SIGUSR2)
        found = _wait_for_new(master, old, log)
        is_resting = not found
        if is_resting:
            os.kill(old, signal.SIGWINCH)
            # heard, before anything else is sent: a master takes several signals in an order of its own
            _wait(lambda: not any(is_serving(pid) for pid in workers))
            found = prove(workers)
        if not found:
            os.kill(old, signal.SIGQUIT)
            return []
        restore()
        master.point(before)
        _go_back(master, old, is_resting=is_resting)
    return found


def _hindrance(master: Master, old: int) -> str:
    if (former := master.former()) is not None:
        return f"the nginx before (pid {former}) still finishes its requests: try again when it has ended"
    if not master.is_started_by_link(old):
        return f"the nginx that runs (pid {old}) was started from a fixed place: kirsch down, then kirsch deploy"
    return ""


def _wait_for_new(master: Master, old: int, log: _Since) -> list[str]:
    deadline = time.monotonic() + TAKEOVER_TIMEOUT_S
    was_renamed = False
    while time.monotonic() < deadline:
        new = master.pid()
        if new not in (None, old) and master.serving_workers():
            return []
        was_renamed = was_renamed or master.former() == old
        is_over = was_renamed and new == old and master.former() is None
        lines = log.faults()
        if is_over or any(_BIND_TRY not in line for line in lines):
            return [line for line in lines if _BIND_TRY in line] or lines or ["the new nginx ended at once"]
        time.sleep(POLL_S)
    return [*log.faults(), f"the new nginx does not serve after {TAKEOVER_TIMEOUT_S:g} s"]


def _go_back(master: Master, old: int, *, is_resting: bool) -> None:
    """Have the old one take connections again if it *is_resting*, and the new one end with what it has.

    The old one names itself in the pid file again when it sees that.
    """
    new = master.pid()
    if new is not None and new != old:
        if is_resting:
            # beside a new binary it starts processes for this, and reads nothing
            os.kill(old, signal.SIGHUP)
            _wait(lambda: bool(serving_children(old) - {new}))
        end_process(new, END_TIMEOUT_S)
    _wait(lambda: master.pid() == old and bool(master.serving_workers()))


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RETURN_TIMEOUT_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(POLL_S)


class _Since:
    """What nginx has written to its error log from now on."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._offset = os.path.getsize(path) if os.path.exists(path) else 0

    def faults(self) -> list[str]:
        """The lines for which a binary ends, or cannot even be executed."""
        try:
            with open(self._path, "rb") as stream:
                stream.seek(self._offset)
                text = stream.read().decode("utf-8", "replace")
        except OSError:
            return []
        found = [line for line in text.splitlines() if "[emerg]" in line or "execve() failed" in line]
        return list(dict.fromkeys(troubles(found)))


class _KeptSocket:
    """A Unix socket's name that comes back: some versions of nginx remove inherited ones when they end."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._kept = f"{path}.kept"

    def __enter__(self) -> None:
        Path(self._kept).unlink(missing_ok=True)
        os.link(self._path, self._kept)

    def __exit__(self, *error: object) -> None:
        if os.path.exists(self._path):
            Path(self._kept).unlink(missing_ok=True)
        else:
            os.rename(self._kept, self._path)
