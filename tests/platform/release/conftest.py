"""Fakes that we own: a supervisor, a watcher, a stack on the disk, and a shell whose programs only pretend to run."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import ControlError
from kirsch.link.state import State, state_from_json
from kirsch.release.fleet import ENVIRONMENT_FILE, environment_of
from kirsch.release.plan import Plan, Step
from kirsch.release.shell import Listener, LocalShell, Ran, Shell
from kirsch.release.target import Target
from kirsch.spec import Host, HostPaths, Inventory, Stack, load_stack

STACK = """
[stack]
name = "shop"
requirements = "requirements.txt"
release_command = "echo prepared"

[app.shop]
entry = "shop:Root"

[vhost.main]
listen = ["127.0.0.1:8080"]
"""


GONE = 2**22 + 1
"""The id of no process."""


class FakeShell(LocalShell):
    """The files are real, under a temporary directory; programs are only noted and answered from `answers`."""

    def __init__(self) -> None:
        super().__init__("testhost")
        self.ran: list[list[str]] = []
        self.environs: list[Mapping[str, str]] = []
        self.users: list[tuple[str | None, str | None]] = []
        self.answers: dict[str, Ran] = {}

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        listener: Listener | None = None,
        user: str | None = None,
        group: str | None = None,
    ) -> Ran:
        """Note the command; the first answer whose word stands in it is given, else success."""
        self.ran.append(list(argv))
        self.environs.append(dict(env or {}))
        self.users.append((user, group))
        line = " ".join(argv)
        if "-m venv" in line:
            Path(argv[-1]).mkdir(parents=True)
        found = next((answer for word, answer in self.answers.items() if word in line), Ran(0, ""))
        for said in found.output.splitlines():
            if listener is not None:
                listener(said)
        return found


@dataclass
class FakeSupervisor:
    """Answers like the supervisor of one stack; `broken` releases fail to come up."""

    paths: HostPaths
    running: bool = False
    python: str | None = None
    """The interpreter that it runs on."""
    started: float = 1.0
    refuses: str | None = None
    """Why the next version cannot take over."""
    knows_upgrade: bool = True
    stillborn: set[str] = field(default_factory=set)
    """Environments whose supervisors end as soon as they are begun."""
    has_workers: bool = False
    release: str | None = None
    broken: set[str] = field(default_factory=set)
    everything_breaks: bool = False
    nginx_problem: str | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    pids: Iterator[int] = field(default_factory=lambda: itertools.count(100))
    report: dict[str, Any] = field(
        default_factory=lambda: {"worker": "web.1", "step": "import shop:Root", "traceback": "Traceback: SyntaxError"}
    )

    def connect(self, path: str) -> FakeSupervisor:
        """Be the client too."""
        assert path == self.paths.control_socket
        return self

    def start(self, shell: Shell, paths: HostPaths, state: State, env: Mapping[str, str]) -> int:
        """Be started on what the state file says."""
        # what really runs is adopted, whatever was written down meanwhile
        self.release = self.release if self.has_workers else self.state().release
        self.has_workers = True
        shell.write(f"{paths.run}/{ENVIRONMENT_FILE}", environment_of(state.python).encode())
        self.begin(state.python)
        return os.getpid() if self.running else GONE

    def begin(self, python: str) -> None:
        """Be another supervisor from now on, or none if that one cannot live."""
        self.python = python
        self.started += 1.0
        self.running = environment_of(python) not in self.stillborn

    def state(self) -> State:
        """Read the state file, as the real one does."""
        return state_from_json(Path(self.paths.state_file).read_bytes())

    def call(self, verb: str, **args: Any) -> Any:
        """Answer one question."""
        self.asked.append((verb, args))
        if not self.running:
            raise ControlError("nobody there", kind="unreachable")
        if verb == "upgrade":
            return self.upgrade(**args)
        if verb in {"stop", "leave"}:
            self.running = False
            self.has_workers = verb == "leave"
            return {}
        return self.status()

    def upgrade(self, python: str) -> dict[str, Any]:
        """Be the next version, unless that cannot be."""
        if not self.knows_upgrade:
            raise ControlError("unknown verb 'upgrade'; allowed: leave, status", kind="unknown_verb")
        if self.refuses is not None:
            report = {"step": "upgrade", "exit_status": 1, "output": self.refuses}
            raise ControlError("that version cannot take over", kind="roll_failed", report=report)
        self.begin(python)
        return {"pid": GONE, "version": "1"}

    def stream(self, verb: str, **args: Any) -> Iterator[Mapping[str, Any]]:
        """Roll to the state file's release."""
        self.asked.append((verb, args))
        release = self.state().release
        yield {"event": {"kind": "booting", "worker": "web.1", "pid": 4711}}
        if self.everything_breaks or release in self.broken:
            raise ControlError("web.1 failed to boot", kind="roll_failed", report=self.report)
        self.release = release
        yield {"result": {}}

    def status(self) -> dict[str, Any]:
        """Two workers, ready or failed."""
        failed = self.everything_breaks or self.release in self.broken
        state = "failed" if failed else "ready"
        workers = [
            {
                "name": f"web.{seat}",
                "pid": next(self.pids),
                "state": state,
                "release": self.release,
                "since": 1.0,
            }
            | ({"report": self.report} if failed else {})
            for seat in (1, 2)
        ]
        return {
            "stack": "shop",
            "release": self.release,
            "generation": 1,
            "pid": GONE,
            "started": self.started,
            **({"python": self.python} if self.knows_upgrade else {}),
            "nginx": {
                "pid": None if self.nginx_problem else 7,
                "version": "1.22.1",
                "binary": "/usr/sbin/nginx",
                "listen": ["http://127.0.0.1:8080/"],
                "problem": self.nginx_problem,
            },
            "pools": [{"name": "web", "engine": "native", "slots": 2, "workers": workers}],
            "admin": "http://127.0.0.1:9180/",
            "log_dir": self.paths.log_dir,
            "degraded": [],
        }


@dataclass
class Watcher:
    """Notes what a deploy tells."""

    plans: list[Plan] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    reversions: list[str] = field(default_factory=list)

    def planned(self, plan: Plan) -> None:
        """Note the plan."""
        self.plans.append(plan)

    def began(self, step: Step) -> None:
        """Nothing to note."""

    def said(self, line: str) -> None:
        """Note a line."""
        self.lines.append(line)

    def ended(self, step: Step, detail: str, took_s: float) -> None:
        """Note a step that went well."""
        self.done.append(step.name)

    def failed(self, step: Step, took_s: float) -> None:
        """Note a step that failed."""
        self.failures.append(step.name)

    def reverted(self, text: str) -> None:
        """Note how it went back."""
        self.reversions.append(text)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack of one application, on the disk."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "kirsch.toml").write_text(STACK)
    (source / "requirements.txt").write_text("flask\n")
    (source / "shop.py").write_text("class Root: pass\n")
    return load_stack(source / "kirsch.toml")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """A host with its root and run directory under the test's own."""
    paths = HostPaths(root=str(tmp_path / "root"), run=str(tmp_path / "run" / "shop"))
    host = Host(name="testhost", connection="local")
    inventory = Inventory(hosts={"testhost": host}, port_policy="next_free")
    return Target(host, FakeShell(), paths, "/usr/bin/python3", inventory, "local.toml")


@pytest.fixture
def supervisor(target: Target) -> FakeSupervisor:
    """The supervisor of that host, not running yet."""
    return FakeSupervisor(target.paths)


@pytest.fixture
def watcher() -> Watcher:
    """Somebody who watches."""
    return Watcher()
