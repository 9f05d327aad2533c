"""Back to a release that was verified before: its files and its environment are still there, so nothing is built.

Every deploy that ended well leaves the state that it ran in the release's folder; what has none was never verified.
What a release command changed (a migration) stays as it is: the older code has to bear it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from kirsch.errors import DeployError
from kirsch.link.state import State, state_from_json, state_to_json
from kirsch.release import fleet, wheel
from kirsch.release.gate import public_questions
from kirsch.release.history import read_lines
from kirsch.release.plan import CheckHealth, Plan, RenewSupervisor, RollWorkers, StartSupervisor, Step, SwitchCurrent
from kirsch.release.prepare import Prepared, observe, same_stack
from kirsch.release.shell import Shell
from kirsch.release.snapshot import Snapshot
from kirsch.release.status import Connect
from kirsch.release.target import Target
from kirsch.spec import HostPaths

STATE = ".kirsch-state.json"


def verified_releases(shell: Shell, paths: HostPaths) -> tuple[str, ...]:
    """Return the releases that served well and are still there, the last that did so first."""
    done = [line.release for line in read_lines(shell, paths.history) if line.outcome == "done"]
    return tuple(name for name in dict.fromkeys(reversed(done)) if shell.read(_state_file(paths, name)) is not None)


def choose_release(verified: tuple[str, ...], current: str | None, wanted: str | None, host: str) -> str:
    """Return the release to go back to: *wanted*, else the last verified one that is not *current*.

    Raises:
        DeployError: there is none; or *wanted* is current, or was never verified, or is gone.
    """
    there = [name for name in verified if name != current]
    if wanted is None and there:
        return there[0]
    if wanted in there:
        return wanted
    known = f"there are: {', '.join(there)}" if there else "no other one is there"
    if wanted is None:
        raise DeployError(f"no release to go back to: {known}", host=host, step="plan")
    why = "is current already" if wanted == current else "was never verified here, or is gone"
    raise DeployError(f"{wanted} {why}; {known}", host=host, step="plan")


def prepare_rollback(target: Target, connect: Connect, *, release: str | None = None) -> Prepared:
    """Work out the way back to *release*, or to the last verified one before the current.

    Raises:
        DeployError: there is none such, or another version of kirsch has written it.
    """
    shell, paths = target.shell, target.paths
    before = observe(target, connect)
    name = choose_release(verified_releases(shell, paths), before.current, release, target.host.name)
    after = _read(shell, paths, name, target.host.name)
    workers = sum(pool.workers.min for pool in after.stack.pools.values())
    steps: list[Step] = []
    environment = fleet.environment_of(after.python)
    if before.status is not None and before.supervisor_environment != environment:
        steps.append(RenewSupervisor(before.status.pid, environment))
    steps.append(SwitchCurrent(name, before.current))
    if before.status is None:
        steps.append(StartSupervisor(workers))
    else:
        steps.append(RollWorkers(name, "roll" if same_stack(before.state, after) else "apply", workers))
    urls = dict.fromkeys(question.url for question in public_questions(after.stack))
    plan = Plan(
        host=target.host.name,
        root=paths.root,
        stack=after.stack,
        admin=after.admin or "",
        release=name,
        previous=before.current,
        notes=(),
        steps=(*steps, CheckHealth(tuple(urls))),
    )
    nothing = Snapshot(Path(after.release_dir), (), "")
    return Prepared(plan, target, before, after, nothing, wheel.find_source(), before.ports, verb="rollback")


def keep_verified(shell: Shell, paths: HostPaths, state: State) -> None:
    """Note that the release of *state* serves well."""
    shell.write(_state_file(paths, state.release), state_to_json(state), mode=0o600)


def _read(shell: Shell, paths: HostPaths, name: str, host: str) -> State:
    try:
        return state_from_json(shell.read(_state_file(paths, name)) or b"")
    except msgspec.MsgspecError as error:
        raise DeployError(f"{name} was deployed by another version of kirsch: deploy it anew", host=host) from error


def _state_file(paths: HostPaths, release: str) -> str:
    return f"{paths.releases}/{release}/{STATE}"
