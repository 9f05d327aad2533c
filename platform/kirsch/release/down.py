"""Stopping a stack on a host, whatever state it is in, and leaving nothing of it running."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from kirsch.errors import ControlError, DeployError
from kirsch.release.fleet import stop_supervisor
from kirsch.release.lock import hold_lock
from kirsch.release.status import Control
from kirsch.release.target import Target
from kirsch.spec import HostPaths

WORKER_SOCKET = re.compile(r".+\.\d+\.(\d+)\.sock\Z")
PATIENCE_S = 10.0
LOOK_EVERY_S = 0.05


def take_down(target: Target, control: Control, *, purge: bool, drain_s: float) -> tuple[str, ...]:
    """Stop the supervisor with its workers and nginx, then whatever of them is left, then remove the run directory.

    With *purge* the root goes too. Returns what was done, a line each.

    Raises:
        LockHeld: a deploy is under way.
        DeployError: something does not stop.
    """
    shell, paths = target.shell, target.paths
    done = []
    if shell.list(paths.root):
        with hold_lock(shell, paths.lock, verb="kirsch down"):
            done += _stop(target, control, drain_s)
    else:
        done += _stop(target, control, drain_s)
    shell.remove(paths.run)
    shell.remove(paths.run_link)
    _remove_if_empty(os.path.dirname(paths.run))
    done.append(f"removed {paths.run}")
    if purge:
        shell.remove(paths.root)
        _remove_if_empty(os.path.dirname(paths.root))
        done.append(f"removed {paths.root}")
    return tuple(done)


def leftovers(paths: HostPaths) -> dict[int, str]:
    """Return the processes of the stack that are alive: process id to what it is.

    SECURITY: a number in a file may by now be anybody's process; one counts only if its command line names our run
    directory, or our nginx's.
    """
    candidates = {pid: "worker" for name in _names(paths.workers) if (pid := _pid_in_name(name))}
    for file, what in ((paths.supervisor_pid, "supervisor"), (paths.nginx_pid, "nginx")):
        try:
            candidates[int(Path(file).read_text().split()[0])] = what
        except (OSError, ValueError, IndexError):
            continue
    return {pid: what for pid, what in candidates.items() if _is_ours(pid, paths)}


def _stop(target: Target, control: Control, drain_s: float) -> list[str]:
    done = []
    try:
        if stop_supervisor(target.shell, control, target.paths, drain_s=drain_s):
            done.append("stopped the supervisor, its workers and nginx")
        else:
            done.append("the supervisor was not running")
    except (ControlError, DeployError) as error:
        done.append(f"the supervisor did not stop as asked ({error}): ended it")
    left = leftovers(target.paths)
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal_all(left, number)
        left = _wait_until_gone(target, left, PATIENCE_S if number == signal.SIGTERM else 2.0)
        if not left:
            return done
    raise DeployError(f"still there: {', '.join(f'{what} {pid}' for pid, what in left.items())}", host=target.host.name)


def _signal_all(left: dict[int, str], number: signal.Signals) -> None:
    for pid in left:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _wait_until_gone(target: Target, left: dict[int, str], patience_s: float) -> dict[int, str]:
    deadline = time.monotonic() + patience_s
    while left := {pid: what for pid, what in left.items() if target.shell.is_alive(pid)}:
        if time.monotonic() > deadline:
            return left
        time.sleep(LOOK_EVERY_S)
    return {}


def _is_ours(pid: int, paths: HostPaths) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and paths.run in command


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _pid_in_name(name: str) -> int | None:
    match = WORKER_SOCKET.match(name)
    return int(match[1]) if match else None


def _remove_if_empty(directory: str) -> None:
    """Remove the parent that the stacks share (/run/kirsch, .kirsch) once the last of them is gone."""
    if os.path.basename(directory).removeprefix(".").startswith("kirsch"):
        try:
            os.rmdir(directory)
        except OSError:
            return  # another stack's folder is in it, or it is gone already
