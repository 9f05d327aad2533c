"""Looking before leaping: what is on the host, what will be deployed, and the plan that follows. Nothing is changed
here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kirsch.errors import ControlError, DeployError
from kirsch.link.state import State, state_from_json
from kirsch.release import wheel
from kirsch.release.environment import Environment, hash_environment, is_ready, python_version
from kirsch.release.gate import public_questions
from kirsch.release.plan import (
    BuildRelease,
    CheckHealth,
    CopyRelease,
    MakeEnvironment,
    Plan,
    Prune,
    RenewSupervisor,
    RollWorkers,
    RunReleaseCommand,
    StartSupervisor,
    Step,
    SwitchCurrent,
)
from kirsch.release.ports import IsFree, is_free, settle_ports
from kirsch.release.snapshot import Snapshot, take_snapshot
from kirsch.release.status import Connect, Status, ask_status
from kirsch.release.succession import environment_in_use
from kirsch.release.target import Target
from kirsch.spec import Stack

PORTS_FILE = "ports.json"


@dataclass(frozen=True)
class Observed:
    """What is on the host before a deploy: the release that is current, the supervisor if it runs, the state it was
    given.
    """

    current: str | None
    status: Status | None
    state: State | None
    ports: dict[str, str]
    supervisor_environment: str | None


@dataclass(frozen=True)
class Prepared:
    """A plan with the material that its steps need."""

    plan: Plan
    target: Target
    before: Observed
    after: State
    snapshot: Snapshot
    kirsch: wheel.Source
    asked_ports: dict[str, str]
    verb: str = "deploy"


def observe(target: Target, connect: Connect) -> Observed:
    """Look at what is on the host."""
    shell, paths = target.shell, target.paths
    link = shell.read_link(paths.current)
    status = ask_status(connect(paths.control_socket))
    return Observed(
        current=link and link.rstrip("/").rpartition("/")[2],
        status=status,
        state=_read_state(shell.read(paths.state_file)),
        # the ports of a stack that is down are anybody's again
        ports=_read_ports(shell.read(f"{paths.run}/{PORTS_FILE}")) if status else {},
        supervisor_environment=environment_in_use(shell, paths, status),
    )


def prepare(
    stack: Stack,
    target: Target,
    connect: Connect,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    free: IsFree = is_free,
    environ: Mapping[str, str] = os.environ,
    release: str | None = None,
) -> Prepared:
    """Work out one deploy of *stack* to *target*; *release* is its name where several hosts take the same one.

    Raises:
        SpecError: a port is in use.
        DeployError: what lies there cannot be deployed, or the host is another stack's.
    """
    before = observe(target, connect)
    _refuse_other_stack(stack, before, target)
    settled = settle_ports(stack, target.inventory, file=target.inventory_file, held=before.ports, is_free=free)
    snapshot = take_snapshot(Path(stack.directory), leave_out=Path(target.paths.root))
    source = wheel.find_source()
    environment = _environment(stack, target, source)
    release = release or _release_id(snapshot, environment, now(), target)
    directory = f"{target.paths.releases}/{release}"
    real = stack.with_listen(settled.listen).with_directory(directory)
    after = State(stack=real, release=release, release_dir=directory, python=environment.python, admin=settled.admin)
    steps = _steps(stack, target, before, after, snapshot, environment, source)
    plan = Plan(
        host=target.host.name,
        root=target.paths.root,
        stack=real,
        admin=settled.admin,
        release=release,
        previous=before.current,
        notes=(*settled.notes, *_degradations(before)),
        steps=steps,
    )
    return Prepared(plan, target, before, after, snapshot, source, settled.asked)


def _steps(
    stack: Stack,
    target: Target,
    before: Observed,
    after: State,
    snapshot: Snapshot,
    environment: Environment,
    source: wheel.Source,
) -> tuple[Step, ...]:
    workers = sum(pool.workers.min for pool in stack.pools.values())
    steps: list[Step] = [
        BuildRelease(after.release, len(snapshot.entries), snapshot.size_bytes, snapshot.digest),
        MakeEnvironment(environment, source.wheel_name, is_ready(target.shell, environment)),
        CopyRelease(after.release_dir),
    ]
    if before.status is not None and before.supervisor_environment != environment.digest:
        steps.append(RenewSupervisor(before.status.pid, environment.digest))
    if stack.release_command is not None:
        steps.append(RunReleaseCommand(stack.release_command))
    steps.append(SwitchCurrent(after.release, before.current))
    if before.status is None:
        steps.append(StartSupervisor(workers))
    else:
        steps.append(RollWorkers(after.release, "roll" if same_stack(before.state, after) else "apply", workers))
    urls = dict.fromkeys(question.url for question in public_questions(after.stack))
    return (*steps, CheckHealth(tuple(urls)), Prune(target.inventory.deploy.keep_releases))


def same_stack(before: State | None, after: State) -> bool:
    """Is only the code new? Then nginx's configuration and the number of workers stay, and workers are rolled."""
    if before is None:
        return False
    here = after.stack.with_directory("")
    return before.admin == after.admin and before.stack.with_directory("") == here


def _environment(stack: Stack, target: Target, source: wheel.Source) -> Environment:
    engines = {pool.engine for pool in stack.pools.values()}
    extras = tuple(
        name
        for name, wanted in (
            ("nginx", not _has_nginx(target)),
            ("gunicorn", "gunicorn" in engines),
            ("uwsgi", "uwsgi" in engines),
        )
        if wanted
    )
    requirements = None if stack.requirements is None else Path(stack.directory) / stack.requirements
    digest = hash_environment(
        requirements=requirements,
        kirsch_digest=source.digest,
        extras=extras,
        python_version=f"{target.python} {python_version()}",
    )
    return Environment(
        path=f"{target.paths.envs}/{digest}",
        base_python=target.python,
        digest=digest,
        requirements=None if requirements is None else str(requirements),
        extras=extras,
    )


def _has_nginx(target: Target) -> bool:
    """Has the host an nginx of its own, also where only root's PATH leads?"""
    command = 'PATH="$PATH:/usr/sbin:/usr/local/sbin"; export PATH; command -v "${KIRSCH_NGINX:-nginx}"'
    return not target.shell.run(["/bin/sh", "-c", command]).status


def _release_id(snapshot: Snapshot, environment: Environment, now: datetime, target: Target) -> str:
    """Name a release by when and what: "20260131-174502-9c1f03ab"; names sort by age."""
    content = hashlib.sha256(f"{snapshot.digest} {environment.digest}".encode()).hexdigest()[:8]
    name = f"{now:%Y%m%d-%H%M%S}-{content}"
    same = [one for one in target.shell.list(target.paths.releases) if one.startswith(name)]
    if not same:
        return name
    # again within one second: count on from the last, never reuse a name that was pruned
    return f"{name}.{int(max(same).removeprefix(name).lstrip('.') or 1) + 1:02}"


def _refuse_other_stack(stack: Stack, before: Observed, target: Target) -> None:
    raw = target.shell.read(f"{target.paths.root}/stack.name")
    name = raw.decode().strip() if raw else stack.name
    if name != stack.name:
        raise DeployError(
            f'{target.paths.root} belongs to the stack "{name}": '
            f'give "{stack.name}" a root of its own in {target.inventory_file}',
            host=target.host.name,
        )
    if before.status is not None and before.status.stack != stack.name:
        raise DeployError(f'the stack "{before.status.stack}" runs there', host=target.host.name)


def _degradations(before: Observed) -> tuple[str, ...]:
    if before.status is None:
        return ()
    return tuple(f"the running stack is not well: {reason}" for reason in before.status.degraded)


def _read_state(raw: bytes | None) -> State | None:
    """Read the running stack's state; one of another version counts as none, and the whole stack is applied anew."""
    if raw is None:
        return None
    try:
        return state_from_json(raw)
    except msgspec.MsgspecError:
        return None


def _read_ports(raw: bytes | None) -> dict[str, str]:
    if raw is None:
        return {}
    try:
        return msgspec.json.decode(raw, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise ControlError(f"{PORTS_FILE} of the running stack cannot be read: {error}", kind="protocol") from error
