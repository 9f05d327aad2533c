"""The agent: does the steps of a deploy on its host, told by a coordinator over standard input and output.

A line in: ``{"verb": "roll", "args": {…}}``; lines out: ``{"event": …}`` as it goes, then ``{"result": …}`` or
``{"error": …}``. Empty lines are the coordinator's heartbeat.

Law: a coordinator that is gone (its end is closed, or silent for `SILENCE_S`) leaves this host as it was before: what
was switched goes back, the lock is given back. Unless it had said ``keep``: that is said once every host is verified,
and from then on the new release stays.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from kirsch.errors import DeployError, KirschError
from kirsch.release.deploy import Deploy
from kirsch.release.history import read_lines
from kirsch.release.hosts.kit import KEEP
from kirsch.release.lock import hold_lock
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
from kirsch.release.prepare import prepare
from kirsch.release.rollback import prepare_rollback, verified_releases
from kirsch.release.shell import LocalShell
from kirsch.release.status import Connect, ask_status, describe_error
from kirsch.release.target import find_target
from kirsch.spec import DeployOptions, Host, HostPaths, Inventory, load_stack
from kirsch.supervise.client import ControlClient

SILENCE_S = 30.0
HEARTBEAT_S = 5.0
STAGES: dict[str, tuple[type[Step], ...]] = {
    "build": (BuildRelease, MakeEnvironment, CopyRelease, RenewSupervisor),
    "command": (RunReleaseCommand,),
    "roll": (SwitchCurrent, StartSupervisor, RollWorkers, CheckHealth),
    "check": (CheckHealth,),
    "prune": (Prune,),
}
"""Which steps of the plan are done at a word of the coordinator."""

Say = Callable[[Mapping[str, Any]], None]


class Gone(BaseException):
    """The coordinator is not there any more."""


class Agent:
    """One conversation: what was asked for so far, and what has to be undone should it break off."""

    def __init__(self, say: Say, connect: Connect = ControlClient, environ: Mapping[str, str] = os.environ) -> None:
        self.say = say
        self.connect = connect
        self.environ = dict(environ)
        self.shell = LocalShell()
        self.held = ExitStack()
        self.deploy: Deploy | None = None
        self.kept = False
        self.verbs: dict[str, Callable[..., Any]] = {
            "lock": self.lock,
            "plan": self.plan,
            "plan_rollback": self.plan_rollback,
            "verified": self.verified,
            "stage": self.stage,
            "revert": self.revert,
            "keep": self.keep,
            "finish": self.finish,
            "status": self.status,
            "history": self.history,
        }

    def answer(self, line: bytes) -> None:
        """Do what one line asks for, and say what came of it."""
        try:
            asked = json.loads(line)
            result = self.verbs[asked["verb"]](**asked.get("args", {}))
        except (KirschError, OSError, msgspec.MsgspecError) as error:
            self.say({"error": _describe(error)})
        else:
            self.say({"result": result})

    def lock(self, root: str, who: str, verb: str) -> dict[str, Any]:
        """Take the host's lock for the rest of the conversation."""
        self.shell.make_directory(root)
        stale = self.held.enter_context(hold_lock(self.shell, f"{root}/deploy.lock", verb=verb, who=who))
        return {"took_over": None if stale is None else stale.who}

    def plan(
        self,
        source: str,
        content: str,
        host: dict[str, Any],
        inventory: dict[str, Any],
        wheels: str,
        release: str,
        who: str,
    ) -> dict[str, Any]:
        """Work out the deploy of the stack's file *source* here; return its steps."""
        stack = load_stack(source)
        place = _only(host, inventory)
        target = find_target(stack.name, place, file="inventory", base=Path("/"), environ=self.environ)
        environ = {**self.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels, "PIP_CONFIG_FILE": os.devnull}
        prepared = prepare(stack, target, self.connect, environ=environ, release=release)
        if prepared.snapshot.digest != content:
            raise DeployError("the files that came are not those that were sent: deploy again", step="plan")
        self.deploy = Deploy(prepared, self.connect, Relay(self.say), environ=environ, who=who)
        return {"notes": list(prepared.plan.notes)}

    def plan_rollback(
        self, stack: str, host: dict[str, Any], inventory: dict[str, Any], release: str, who: str
    ) -> dict[str, Any]:
        """Work out the way back to *release*."""
        target = find_target(stack, _only(host, inventory), file="inventory", base=Path("/"), environ=self.environ)
        prepared = prepare_rollback(target, self.connect, release=release)
        self.deploy = Deploy(prepared, self.connect, Relay(self.say), environ=self.environ, who=who)
        return {"notes": list(prepared.plan.notes)}

    def verified(self, root: str) -> list[str]:
        """The releases that served well and are still there, the last that did so first."""
        return list(verified_releases(self.shell, HostPaths(root=root, run="")))

    def stage(self, name: str) -> dict[str, Any]:
        """Do the steps of one stage; a step that fails leaves going back to `revert`."""
        deploy = self._deploy()
        if deploy.built is None:
            deploy.make_folders()
            self.held.enter_context(deploy.scratch())
        for step in deploy.prepared.plan.steps:
            if isinstance(step, STAGES[name]):
                deploy.perform(step)
        return {}

    def revert(self, reason: str) -> dict[str, Any]:
        """Have the release of before serve again, and note why; the lock is given back."""
        self.kept = False
        if self.deploy is not None:
            self.deploy.revert()
            if self.deploy.built is not None:
                self.deploy.note("failed", reason=reason)
        self.deploy = None
        self.held.close()
        return {}

    def keep(self) -> dict[str, Any]:
        """From now on the new release stays, whatever becomes of the coordinator."""
        self._deploy()
        self.kept = True
        return {}

    def finish(self, kit: list[str]) -> dict[str, Any]:
        """Remove what is old, note the deploy and give the lock back; *kit* are the parts that were used."""
        deploy = self._deploy()
        self.stage("prune")
        self._forget_kit(f"{deploy.paths.root}/kit", kit)
        deploy.note("done")
        self.deploy = None
        self.held.close()
        return {}

    def status(self, host: dict[str, Any], inventory: dict[str, Any], stack: str) -> Any:
        """What the supervisor says; None where none runs."""
        target = find_target(stack, _only(host, inventory), file="inventory", base=Path("/"), environ=self.environ)
        found = ask_status(self.connect(target.paths.control_socket))
        return None if found is None else msgspec.to_builtins(found)

    def history(self, root: str) -> Any:
        """The lines of the host's history, oldest first."""
        return [msgspec.to_builtins(line) for line in read_lines(self.shell, f"{root}/history.jsonl")]

    def abandon(self) -> None:
        """The coordinator is gone: back to what was before, or to the end of what it had decided."""
        if self.kept and self.deploy is not None:
            self.deploy.note("done", reason="the coordinator was gone before it could clean up")
            self.deploy = None
            self.held.close()
        else:
            self.revert("the coordinator is gone")

    def _deploy(self) -> Deploy:
        if self.deploy is None:
            raise DeployError("nothing was planned")
        return self.deploy

    def _forget_kit(self, folder: str, keep: list[str]) -> None:
        for kind in ("agent", "wheels", "source"):
            names = [name for name in self.shell.list(folder) if name.startswith(f"{kind}-") and name not in keep]
            names.sort(key=lambda name: Path(folder, name).stat().st_mtime)
            for name in names[: max(0, len(names) - KEEP + 1)]:
                with suppress(OSError):  # an old part in the way is no reason to fail
                    self.shell.remove(f"{folder}/{name}")


class Relay:
    """Tells the coordinator how a step goes."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def planned(self, plan: Plan) -> None:
        """Nothing: the plan is the answer to `plan`."""

    def began(self, step: Step) -> None:
        """A step begins."""
        self.say({"event": {"kind": "began", "step": step.name}})

    def said(self, line: str) -> None:
        """A line of the step."""
        self.say({"event": {"kind": "said", "text": line}})

    def ended(self, step: Step, detail: str, took_s: float) -> None:
        """The step is done."""
        self.say({"event": {"kind": "ended", "step": step.name, "text": detail, "took_s": took_s}})

    def failed(self, step: Step, took_s: float) -> None:
        """The step failed."""
        self.say({"event": {"kind": "failed", "step": step.name, "took_s": took_s}})

    def reverted(self, text: str) -> None:
        """What was done to go back."""
        self.say({"event": {"kind": "reverted", "text": text}})


class Line:
    """Standard input and output of the agent's process, and the watch over who is at the other end."""

    def __init__(self, stdin: int, stdout: int) -> None:
        self.stdin, self.stdout = stdin, stdout
        self.lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.is_gone = threading.Event()
        self.mutex = threading.Lock()

    def say(self, message: Mapping[str, Any]) -> None:
        """Send one message; nobody may be there to hear it."""
        data = json.dumps(message).encode() + b"\n"
        with suppress(OSError), self.mutex:
            while data and not self.is_gone.is_set():
                data = data[os.write(self.stdout, data) :]

    def watch(self) -> None:
        """Read lines until the coordinator is gone; then the main thread is told by a signal, whatever it is at."""
        rest = b""
        while select.select([self.stdin], [], [], SILENCE_S)[0]:
            data = os.read(self.stdin, 65536)
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                if line.strip():
                    self.lines.put(line)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


class Attention:
    """Lets a signal end what is being done, and nothing else: not the way back, not the moment between two verbs."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.is_at_work = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        self.line.is_gone.set()
        self.line.lines.put(None)
        if self.is_at_work:
            self.is_at_work = False
            raise Gone


def serve(stdin: int = 0, stdout: int = 1) -> None:
    """Serve one coordinator until it is gone."""
    line = Line(stdin, stdout)
    agent = Agent(line.say)
    attention = Attention(line)
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, attention.interrupt)
    threading.Thread(target=line.watch, name="kirsch-coordinator", daemon=True).start()
    line.say({"hello": os.getpid()})
    try:
        while (asked := line.lines.get()) is not None:
            attention.is_at_work = True
            try:
                agent.answer(asked)
            finally:
                attention.is_at_work = False
    except Gone:
        pass
    agent.abandon()


def _only(host: dict[str, Any], inventory: dict[str, Any]) -> Inventory:
    """The inventory as it is on the host itself: one machine, and that is this one."""
    here = msgspec.structs.replace(msgspec.convert(host, Host, strict=False), connection="local")
    return Inventory(
        hosts={here.name: here},
        deploy=msgspec.convert(inventory["deploy"], DeployOptions, strict=False),
        listen=inventory["listen"],
        port_policy=inventory["port_policy"],
        admin=inventory["admin"],
    )


def _describe(error: Exception) -> dict[str, Any]:
    return {
        "message": str(error),
        "kind": type(error).__name__,
        "step": getattr(error, "step", None),
        "output": getattr(error, "output", ""),
        "holder": dict(getattr(error, "holder", {})),
        "report": dict(describe_error(error)) if isinstance(error, KirschError) else {},
    }


if __name__ == "__main__":
    # what is printed by accident goes where it harms nobody: standard output is the conversation
    out = os.dup(1)
    os.dup2(2, 1)
    serve(0, out)
    sys.exit(0)
