"""The supervisor of a host, from outside: start it, wait for it, stop it, and the words for what it says."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kirsch.errors import ControlError, DeployError, GateFailed
from kirsch.link.state import State
from kirsch.release.environment import clean_environ
from kirsch.release.shell import Shell
from kirsch.release.status import Control, Status, ask_status, first_failure, is_serving
from kirsch.spec import HostPaths

CARD = ".kirsch-release.json"
SUPERVISOR_LOG = "supervisor.log"
ENVIRONMENT_FILE = "supervisor.environment"
LOOK_EVERY_S = 0.1
TAIL_LINES = 25
ANSWER_PATIENCE_S = 30.0

EVENT_WORDS = {
    "booting": "{worker}: starts as process {pid}",
    "ready": "{worker}: ready after {duration_s:.2f} s (process {pid})",
    "linked": "{pool}: slots {slots} lead to {to}",
    "draining": "{worker}: process {pid} finishes what it has",
    "stopped": "{worker}: process {pid} has ended",
    "failed": "{worker}: failed at {step}",
    "nginx": "nginx: {message}",
    "bake": "{release}: watched for {duration_s:g} s before the old workers go",
    "scaled": "{pool}: {workers} workers",
    "quarantined": "{worker}: {message}",
    "returned": "{pool}: the workers of {release} serve again",
}
"""How the supervisor's events are said; those of other kinds by their name and details."""

Start = Callable[[Shell, HostPaths, State, Mapping[str, str]], int]


def start_supervisor(shell: Shell, paths: HostPaths, state: State, env: Mapping[str, str]) -> int:
    """Start the supervisor on the release's environment, in a session of its own; return its pid."""
    argv = [state.python, "-m", "kirsch.supervise", "--root", paths.root, "--run", paths.run]
    note_environment(shell, paths, state.python)
    return shell.spawn(argv, cwd=paths.root, env=env, log=f"{paths.log_dir}/{SUPERVISOR_LOG}")


def environment_of(python: str) -> str:
    """Return the name of the environment that an interpreter is in."""
    return os.path.basename(os.path.dirname(os.path.dirname(python)))


def note_environment(shell: Shell, paths: HostPaths, python: str) -> None:
    """Write down which environment the supervisor runs on."""
    shell.write(f"{paths.run}/{ENVIRONMENT_FILE}", environment_of(python).encode() + b"\n")


def supervisor_environment(shell: Shell, paths: HostPaths) -> str | None:
    """Return the name of the environment that was noted for the supervisor."""
    raw = shell.read(f"{paths.run}/{ENVIRONMENT_FILE}")
    return raw.decode().strip() if raw else None


def wait_until_serving(shell: Shell, control: Control, paths: HostPaths, state: State, pid: int) -> Status:
    """Wait for a supervisor that was just started until every worker is ready; return its status then.

    Raises:
        DeployError: it ended.
        GateFailed: a worker failed to boot, or they are not ready within the longest boot time of the pools; or nginx
            does not start.
    """
    least = {name: pool.workers.min for name, pool in state.stack.pools.items()}
    patience_s = 15 + max(pool.boot_timeout_s for pool in state.stack.pools.values())
    deadline = time.monotonic() + patience_s
    while True:
        status = ask_status(control)
        if status is not None and is_serving(status, state.release, least) and has_nginx(status):
            return status
        if status is not None:
            require_nginx(status)
        failed = None if status is None else first_failure(status)
        if failed is not None:
            output = last_output(shell, paths, {"worker": failed.name, **(failed.report or {})})
            raise GateFailed(f"{failed.name} failed to start", step="start", output=output, report=failed.report)
        if not shell.is_alive(pid):
            raise DeployError("the supervisor ended right after its start", output=log_tail(shell, paths))
        if time.monotonic() > deadline:
            seen = "it does not answer" if status is None else _describe_workers(status)
            raise GateFailed(
                f"not serving after {patience_s:.0f} s: {seen}", step="start", output=log_tail(shell, paths)
            )
        time.sleep(LOOK_EVERY_S)


def wait_until_answering(
    shell: Shell, control: Control, paths: HostPaths, pid: int, *, not_since: float | str | None = None
) -> Status:
    """Wait until a supervisor that was just started answers; return its status.

    The one that began at *not_since* may still answer for a moment: it is not meant.

    Raises:
        DeployError: it ended, or is silent for too long.
    """
    deadline = time.monotonic() + ANSWER_PATIENCE_S
    while (status := ask_status(control)) is None or (not_since is not None and status.started == not_since):
        if not shell.is_alive(pid) or time.monotonic() > deadline:
            raise DeployError("the new supervisor does not come up", output=log_tail(shell, paths))
        time.sleep(LOOK_EVERY_S)
    return status


def dismiss_supervisor(shell: Shell, control: Control, paths: HostPaths) -> None:
    """Have the supervisor go and leave workers, slots and nginx as they are; wait until it is gone.

    Raises:
        DeployError: it stays.
    """
    pid = require_status(control).pid
    control.call("leave")
    deadline = time.monotonic() + ANSWER_PATIENCE_S
    while shell.is_alive(pid):
        if time.monotonic() > deadline:
            raise DeployError(f"the supervisor {pid} does not leave", output=log_tail(shell, paths))
        time.sleep(LOOK_EVERY_S)


def require_status(control: Control) -> Status:
    """Return the status of a supervisor that has to be there.

    Raises:
        ControlError: it is not.
    """
    status = ask_status(control)
    if status is None:
        raise ControlError("the supervisor is gone", kind="unreachable")
    return status


def has_nginx(status: Status) -> bool:
    """True when the stack's own nginx runs, with what it should."""
    return status.nginx is not None and status.nginx.pid is not None and status.nginx.problem is None


def require_nginx(status: Status) -> None:
    """Refuse a stack whose own nginx has said that it cannot run: whatever answers at its addresses is another's.

    Raises:
        GateFailed: with nginx's words.
    """
    if status.nginx is not None and status.nginx.problem is not None:
        first, _, rest = status.nginx.problem.partition("\n")
        raise GateFailed(f"nginx does not run: {first}", step="nginx", output=rest)


def stop_supervisor(shell: Shell, control: Control, paths: HostPaths, *, drain_s: float) -> bool:
    """Have the supervisor stop its workers, nginx and itself, and wait until it is gone; False if there was none.

    Raises:
        DeployError: it is still there long after the time for draining.
    """
    status = ask_status(control)
    if status is None:
        return False
    try:
        control.call("stop", drain_s=drain_s)
    except ControlError as error:
        if error.kind != "unreachable":  # it may be gone before its answer is out
            raise
    deadline = time.monotonic() + drain_s + 20
    while shell.is_alive(status.pid):
        if time.monotonic() > deadline:
            raise DeployError(f"the supervisor {status.pid} does not stop", output=log_tail(shell, paths))
        time.sleep(LOOK_EVERY_S)
    return True


def release_environ(state: State, paths: HostPaths, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of programs that run on behalf of a release: its programs first, its apps' variables,
    our own.
    """
    clean = clean_environ(environ)
    folder = os.path.dirname(state.python)
    apps = {name: value for app in state.stack.apps.values() for name, value in app.env.items()}
    return {
        **clean,
        **apps,
        "PATH": f"{folder}:{clean['PATH']}",
        "VIRTUAL_ENV": os.path.dirname(folder),
        "KIRSCH_STACK": state.stack.name,
        "KIRSCH_RELEASE": state.release,
        "KIRSCH_SHARED": paths.shared,
    }


def log_tail(shell: Shell, paths: HostPaths, worker: object = None) -> str:
    """Return the end of a worker's log, or of the supervisor's if it has none."""
    for name in (f"{worker}.log", SUPERVISOR_LOG):
        content = shell.read(f"{paths.log_dir}/{name}")
        if content:
            return "\n".join(content.decode("utf-8", "replace").rstrip().splitlines()[-TAIL_LINES:])
    return ""


def last_output(shell: Shell, paths: HostPaths, report: Mapping[str, Any]) -> str:
    """Return what a failed worker printed; the end of its log if its report says neither that nor why it failed."""
    output = str(report.get("output") or "")
    return output if output or report.get("traceback") else log_tail(shell, paths, report.get("worker"))


def describe_event(event: Mapping[str, Any]) -> str:
    """Say an event of the supervisor in one line: "web.1: ready after 0.81 s (process 4711)"."""
    kind = str(event.get("kind", "event"))
    shown = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in event.items()}
    if kind in EVENT_WORDS:
        # an event of another version may lack a detail that ours has: then the plain form below says it
        with suppress(KeyError, ValueError):
            return EVENT_WORDS[kind].format(**shown)
    details = [f"{name} {value}" for name, value in shown.items() if name not in {"kind", "at", "state", "worker"}]
    subject = f"{event['worker']}: " if event.get("worker") else ""
    return f"{subject}{kind.replace('_', ' ')}" + (f" ({', '.join(details)})" if details else "")


def _describe_workers(status: Status) -> str:
    return ", ".join(f"{worker.name} {worker.state}" for worker in status.workers) or "no workers yet"
