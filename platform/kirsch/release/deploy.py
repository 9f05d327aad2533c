"""Doing a plan: step after step under the lock, and back to the old release if one of them fails.

What has been done is noted as it is done, so that going back undoes that and nothing else. The order of steps is the
plan's; how each is done is here.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from kirsch.check.probe import Probing, probe_stack, require_honesty
from kirsch.errors import ControlError, DeployError, ForgeryBelieved, GateFailed, KirschError
from kirsch.link.state import state_to_json
from kirsch.release import fleet, wheel
from kirsch.release.command import run_command
from kirsch.release.environment import clean_environ, installer_environ, make_environment
from kirsch.release.gate import Question, Refused, pass_gate, public_questions, worker_questions
from kirsch.release.history import Line, append_line
from kirsch.release.lock import hold_lock, who_am_i
from kirsch.release.plan import (
    BuildRelease,
    CheckHealth,
    CopyRelease,
    MakeEnvironment,
    Prune,
    RenewSupervisor,
    RollWorkers,
    RunReleaseCommand,
    StartSupervisor,
    Step,
    SwitchCurrent,
    count,
)
from kirsch.release.prepare import PORTS_FILE, Prepared
from kirsch.release.progress import Progress
from kirsch.release.prune import prune
from kirsch.release.rollback import keep_verified
from kirsch.release.status import Connect, Status, describe_error, is_serving
from kirsch.release.succession import Succession, environment_in_use, interpreter_of
from kirsch.spec import HostPaths, Stack

Gate = Callable[[Iterable[Question]], int]
Probe = Callable[[Stack, HostPaths], list[Probing]]


class Deploy:
    """One deploy under way."""

    def __init__(
        self,
        prepared: Prepared,
        connect: Connect,
        progress: Progress,
        *,
        environ: Mapping[str, str] = os.environ,
        gate: Gate = pass_gate,
        probe: Probe = probe_stack,
        start: fleet.Start = fleet.start_supervisor,
        who: str | None = None,
    ) -> None:
        self.prepared = prepared
        self.target = prepared.target
        self.shell = prepared.target.shell
        self.paths = prepared.target.paths
        self.control = connect(prepared.target.paths.control_socket)
        self.progress = progress
        self.environ = environ
        self.gate = gate
        self.probe = probe
        self.start = start
        self.who = who or who_am_i()
        self.began = time.monotonic()
        self.built: Path | None = None
        self.switched = False
        self.succession: Succession | None = None
        self.started_pid: int | None = None
        self.rolled = False
        self.acts: dict[type[Step], Callable[[Any], str]] = {
            BuildRelease: self.build,
            MakeEnvironment: self.make_environment,
            CopyRelease: self.copy,
            RunReleaseCommand: self.run_release_command,
            SwitchCurrent: self.switch_current,
            StartSupervisor: self.start_supervisor,
            RenewSupervisor: self.renew_supervisor,
            RollWorkers: self.roll_workers,
            CheckHealth: self.check_health,
            Prune: self.prune,
        }

    def run(self) -> Status:
        """Do the plan; return the stack's status afterwards.

        Raises:
            LockHeld: another deploy is at work here.
            KirschError: a step failed; the release of before is current and serves again, as far as there was one.
        """
        self.make_folders()
        with hold_lock(self.shell, self.paths.lock, verb=f"kirsch {self.prepared.verb}") as stale:
            if stale is not None:
                self.progress.said(f"took over the lock of {stale.who}, process {stale.pid}, which is gone")
            with self.scratch():
                try:
                    for step in self.prepared.plan.steps:
                        self.perform(step)
                except BaseException as error:
                    self.revert()
                    self.note("failed", reason=str(error) or type(error).__name__)
                    raise
                self.note("done")
        return fleet.require_status(self.control)

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Have a place to build in for the time of the block."""
        with tempfile.TemporaryDirectory(prefix="kirsch-") as folder:
            self.built = Path(folder)
            yield

    def perform(self, step: Step) -> None:
        """Do one step and tell of it."""
        self.progress.began(step)
        began = time.monotonic()
        try:
            detail = self.acts[type(step)](step)
        except BaseException as error:
            self.progress.failed(step, time.monotonic() - began)
            if isinstance(error, OSError):
                raise DeployError(str(error), host=self.target.host.name, step=step.name) from error
            if isinstance(error, DeployError):
                error.step = error.step or step.name
                error.host = error.host or self.target.host.name
            raise
        self.progress.ended(step, detail, time.monotonic() - began)

    def make_folders(self) -> None:
        """Make the folders of the stack, and claim the run directory."""
        for path in (self.paths.releases, self.paths.envs, self.paths.log_dir):
            self.shell.make_directory(path)
        name = f"{self.paths.root}/stack.name"
        if self.shell.read(name) is None:
            self.shell.write(name, f"{self.prepared.plan.stack.name}\n".encode())

    def build(self, step: BuildRelease) -> str:
        """Copy the snapshot aside, so that what is deployed cannot change under the deploy."""
        assert self.built is not None
        place = self.built / step.release
        self.prepared.snapshot.copy_to(place)
        card = {
            "release": step.release,
            "stack": self.prepared.plan.stack.name,
            "content": step.digest,
            "environment": self.prepared.after.python.split("/")[-3],
            "made_at": _now(),
            "made_by": self.who,
        }
        (place / fleet.CARD).write_bytes(msgspec.json.encode(card) + b"\n")
        return f"{step.release}: {step}"

    def make_environment(self, step: MakeEnvironment) -> str:
        """Make the environment, or leave it as it is."""
        if step.exists:
            return str(step)
        assert self.built is not None
        local = self.built / "wheel"
        local.mkdir()
        wheel.write_wheel(self.prepared.kirsch, local)
        place = f"{self.paths.envs}/.{step.environment.digest}.wheel"
        self.shell.remove(place)
        self.shell.put(local, place)
        try:
            make_environment(
                self.shell,
                step.environment,
                f"{place}/{step.wheel}",
                cwd=str(self.prepared.snapshot.source),
                env=installer_environ(self.environ),
                listener=self.progress.said,
            )
        finally:
            self.shell.remove(place)
        return str(step)

    def copy(self, step: CopyRelease) -> str:
        """Put the built release on the host."""
        assert self.built is not None
        self.shell.put(self.built / self.prepared.plan.release, step.directory)
        return str(step)

    def run_release_command(self, step: RunReleaseCommand) -> str:
        """Run the release command, as the workers of the release will be run."""
        ran = run_command(step.command, self.shell, self.prepared.after, self.paths, self.environ, self.progress.said)
        if ran.status:
            raise DeployError(
                f"the release command `{step.command}` ended with status {ran.status}", output=ran.last_lines(40)
            )
        return str(step)

    def switch_current(self, step: SwitchCurrent) -> str:
        """Point `current` at the release and write down what the supervisor is to run."""
        self.shell.claim_directory(self.paths.run)
        self.shell.link(self.paths.run_link, self.paths.run)
        self.switched = True
        self.shell.link(self.paths.current, f"releases/{step.release}")
        self.shell.write(self.paths.state_file, state_to_json(self.prepared.after), mode=0o600)
        ports = msgspec.json.encode(self.prepared.asked_ports)
        self.shell.write(f"{self.paths.run}/{PORTS_FILE}", ports, mode=0o600)
        return str(step)

    def start_supervisor(self, step: StartSupervisor) -> str:
        """Start the supervisor and wait until every worker is ready."""
        self.started_pid = self.start(self.shell, self.paths, self.prepared.after, clean_environ(self.environ))
        status = fleet.wait_until_serving(self.shell, self.control, self.paths, self.prepared.after, self.started_pid)
        return f"supervisor {self.started_pid}, workers {_pids(status)}"

    def renew_supervisor(self, step: RenewSupervisor) -> str:
        """Put the supervisor of the new environment in place of the old one, which is back if that fails."""
        before, after = self.prepared.before, self.prepared.after
        old = interpreter_of(self.paths, before.status, before.supervisor_environment, (before.state or after).python)
        succession = Succession(self.shell, self.control, self.paths, old=old, new=after.python, start=self.start_on)
        status = succession.change()
        self.succession = succession
        return f"process {status.pid}, with the workers {_pids(status)}"

    def start_on(self, python: str) -> int:
        """Start a supervisor on an interpreter; what it is to run it finds in the run directory."""
        state = msgspec.structs.replace(self.prepared.after, python=python)
        return self.start(self.shell, self.paths, state, clean_environ(self.environ))

    def roll_workers(self, step: RollWorkers) -> str:
        """Have the supervisor replace its workers; its events are passed on as they come."""
        args = {"release": step.release} if step.verb == "roll" else {}
        # From now on until the supervisor says that it failed: a roll goes on when the one who asked for it is
        # interrupted.
        self.rolled = True
        try:
            for message in self.control.stream(step.verb, **args):
                if "event" in message:
                    self.progress.said(fleet.describe_event(message["event"]))
        except ControlError as error:
            self.rolled = error.kind == "unreachable"
            report = describe_error(error)
            output = fleet.last_output(self.shell, self.paths, report)
            raise GateFailed(f"the new release did not come up: {error}", output=output, report=report) from error
        return f"workers {_pids(fleet.require_status(self.control))}"

    def check_health(self, step: CheckHealth) -> str:
        """Ask every worker on its own socket, then through nginx; each must be of the new release, and honest."""
        stack = self.prepared.plan.stack
        status = fleet.require_status(self.control)
        fleet.require_nginx(status)
        least = {name: pool.workers.min for name, pool in stack.pools.items()}
        if not is_serving(status, self.prepared.plan.release, least):
            seen = ", ".join(f"{worker.name} {worker.state} {worker.release}" for worker in status.workers)
            raise GateFailed(f"not every worker serves {self.prepared.plan.release}: {seen}")
        try:
            left_out = status.nginx.left_out if status.nginx else frozenset()
            asked = self.gate(worker_questions(stack, status, self.paths))
            asked += self.gate(public_questions(stack, left_out))
        except Refused as error:
            worker = error.question.worker
            reasons = [] if worker else fleet.require_status(self.control).degraded
            output = fleet.log_tail(self.shell, self.paths, worker) if worker else error.output
            raise GateFailed("; ".join([str(error), *reasons]), step=step.name, output=output) from error
        try:
            forged = require_honesty(self.probe(stack, self.paths))
        except ForgeryBelieved as error:
            raise GateFailed("a client can claim to be somebody else", step=step.name, output=str(error)) from error
        told = f"{count(asked, 'question')} answered by workers and through nginx: {', '.join(step.urls)}"
        return f"{told}; {count(forged, 'forged request')} believed by nobody" if forged else told

    def prune(self, step: Prune) -> str:
        """Remove what nobody needs any more."""
        status = fleet.require_status(self.control)
        running = {worker.release or "" for worker in status.workers}
        supervisor = environment_in_use(self.shell, self.paths, status)
        keep = {self.prepared.plan.release, self.prepared.plan.previous or "", *running}
        try:
            releases, environments = prune(self.shell, self.paths, keep=keep, count=step.keep, supervisor=supervisor)
        except OSError as error:  # the new release serves: what could not be removed is the next deploy's matter
            return f"not everything could be removed: {error}"
        removed = f"{count(len(releases), 'release')} and {count(len(environments), 'environment')} removed"
        return removed if releases or environments else "nothing to remove"

    def revert(self) -> None:
        """Have the release of before serve again; says what it did, and what it could not do."""
        if self.switched:
            self._revert_release()
        if self.succession is not None:
            try:
                self.progress.reverted(self.succession.change_back())
            except KirschError as error:
                self.progress.reverted(f"the supervisor of the new environment goes on: {error}")

    def _revert_release(self) -> None:
        before = self.prepared.before
        self._restore_files()
        try:
            if self.started_pid is not None:
                fleet.stop_supervisor(self.shell, self.control, self.paths, drain_s=1.0)
                if before.current is None:
                    self.shell.remove(self.paths.run)
                    self.shell.remove(self.paths.run_link)
                elif before.state is not None:
                    self.start(self.shell, self.paths, before.state, clean_environ(self.environ))
                self.progress.reverted(
                    f"{before.current} is current again"
                    if before.current
                    else "nothing was running before: stopped again"
                )
            elif self.rolled and before.state is not None:
                verb = next(step.verb for step in self.prepared.plan.steps if isinstance(step, RollWorkers))
                for _ in self.control.stream(verb, **({"release": before.state.release} if verb == "roll" else {})):
                    pass
                self.progress.reverted(f"rolled back: {before.state.release} serves again")
            else:
                self.progress.reverted(f"{before.current} is current again; its workers were not touched")
        except KirschError as error:
            self.progress.reverted(
                f"going back failed too: {error}. `kirsch status` and `kirsch logs` show what is there"
            )

    def _restore_files(self) -> None:
        before = self.prepared.before
        if before.current is not None:
            self.shell.link(self.paths.current, f"releases/{before.current}")
        else:
            self.shell.remove(self.paths.current)
        if before.state is not None:
            self.shell.write(self.paths.state_file, state_to_json(before.state), mode=0o600)
        else:
            self.shell.remove(self.paths.state_file)
        self.shell.write(f"{self.paths.run}/{PORTS_FILE}", msgspec.json.encode(before.ports), mode=0o600)

    def note(self, outcome: str, reason: str | None = None) -> None:
        """Add the line to the host's history."""
        plan = self.prepared.plan
        if outcome == "done":
            keep_verified(self.shell, self.paths, self.prepared.after)
        line = Line(
            at=_now(),
            by=self.who,
            verb=self.prepared.verb,
            release=plan.release,
            previous=plan.previous,
            outcome=outcome,
            reason=reason and reason.partition("\n")[0],
            took_s=round(time.monotonic() - self.began, 2),
        )
        append_line(self.shell, self.paths.history, line)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _pids(status: Status) -> str:
    return ", ".join(f"{worker.name} {worker.pid}" for worker in status.workers if worker.state == "ready")
