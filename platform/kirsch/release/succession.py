"""One supervisor in place of another: of another kirsch, another Python. Workers, slots and nginx outlive it.

A supervisor changes itself: it has the other version read everything first, then executes it in its own process. One
that does not know how leaves, and another is started. Whatever goes wrong, somebody watches the stack afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kirsch.errors import ControlError, DeployError
from kirsch.release import fleet
from kirsch.release.shell import Shell
from kirsch.release.status import Control, Status
from kirsch.spec import HostPaths

StartOn = Callable[[str], int]
"""Starts a supervisor on an interpreter; returns its pid."""


class Succession:
    """The change from one supervisor to another, and back.

    Args:
        old: the interpreter of the one that runs.
        new: that of the one to come.
        start: for supervisors that cannot change themselves, and for the old one should the new one not come up.
    """

    def __init__(self, shell: Shell, control: Control, paths: HostPaths, *, old: str, new: str, start: StartOn) -> None:
        self.shell, self.control, self.paths = shell, control, paths
        self.old, self.new, self.start = old, new, start
        self.in_process = True
        """False when the old one had to leave first."""

    def change(self) -> Status:
        """Put the new one in place of the old one; return its status.

        Raises:
            DeployError: it cannot take over, or did not come up; the old one runs, what the new one said is in it.
        """
        before = fleet.require_status(self.control)
        pid = before.pid
        try:
            self._ask(self.new)
        except ControlError as error:
            if error.kind != "unknown_verb":
                output = str(error.report.get("output") or "")
                raise DeployError(f"the supervisor stays the old one: {error}", output=output) from error
            self.in_process = False
            fleet.dismiss_supervisor(self.shell, self.control, self.paths)
            pid = self.start(self.new)
        try:
            status = fleet.wait_until_answering(self.shell, self.control, self.paths, pid, not_since=before.started)
        except DeployError as error:
            raise DeployError(f"{error}; {self._resurrect(pid)}", output=error.output) from error
        fleet.note_environment(self.shell, self.paths, self.new)
        return status

    def change_back(self) -> str:
        """Put the old one in place again after something else has failed; say how that went.

        Raises:
            KirschError: it cannot; the new one goes on.
        """
        if not self.in_process:
            # the old one would not know what it is handed
            return f"the supervisor stays on {fleet.environment_of(self.new)}"
        Succession(self.shell, self.control, self.paths, old=self.new, new=self.old, start=self.start).change()
        return f"the supervisor is that of {fleet.environment_of(self.old)} again"

    def _ask(self, python: str) -> None:
        try:
            self.control.call("upgrade", python=python)
        except ControlError as error:
            if error.kind != "unreachable":  # the answer may be cut by the very thing that it is about
                raise

    def _resurrect(self, pid: int) -> str:
        """Start the old supervisor again; say whether it came."""
        if self.shell.is_alive(pid):  # silent, but with the lock
            self.shell.run(["/bin/sh", "-c", f"kill -KILL {pid}"])
            deadline = time.monotonic() + fleet.ANSWER_PATIENCE_S
            while self.shell.is_alive(pid) and time.monotonic() < deadline:
                time.sleep(fleet.LOOK_EVERY_S)
        try:
            found = self.start(self.old)
            fleet.wait_until_answering(self.shell, self.control, self.paths, found)
        except (DeployError, OSError) as error:
            return f"nor does the old one: {error}"
        return "the old one is back"


def interpreter_of(paths: HostPaths, status: Status | None, environment: str | None, otherwise: str) -> str:
    """Return the interpreter of a running supervisor: as it says itself, else as was noted when it was started."""
    if status is not None and status.python is not None:
        return status.python
    return f"{paths.envs}/{environment}/bin/python" if environment is not None else otherwise


def environment_in_use(shell: Shell, paths: HostPaths, status: Status | None) -> str | None:
    """Return the name of the environment that a supervisor runs on: by its *status*, whoever has started or changed
    it; else the one that was noted.
    """
    if status is not None and status.python is not None:
        return fleet.environment_of(status.python)
    return fleet.supervisor_environment(shell, paths)
