"""A whole deploy with a real disk, a supervisor that we play, and programs that only pretend to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kirsch.check.forgeries import FORGERIES, judge
from kirsch.check.probe import Probing, doors_of
from kirsch.errors import DeployError, GateFailed
from kirsch.link.belief import Belief
from kirsch.release.deploy import Deploy
from kirsch.release.gate import Question, Refused, Reply
from kirsch.release.history import read_lines
from kirsch.release.prepare import Prepared, prepare
from kirsch.release.shell import Ran
from kirsch.release.target import Target
from kirsch.spec import HostPaths, Stack


class Field:
    """A stack, a host, a supervisor and a watcher, and the verb that plays with them."""

    def __init__(self, stack: Stack, target: Target, supervisor: Any, watcher: Any) -> None:
        self.stack, self.target, self.supervisor, self.watcher = stack, target, supervisor, watcher

    def prepare(self, **given: Any) -> Prepared:
        """Plan a deploy; every port is free."""
        return prepare(self.stack, self.target, self.supervisor.connect, **{"free": lambda listen: True, **given})

    def deploy(self, gate: Any = lambda questions: 1, probe: Any = lambda stack, paths: []) -> Prepared:
        """Plan and do it."""
        prepared = self.prepare()
        Deploy(
            prepared, self.supervisor.connect, self.watcher, gate=gate, probe=probe, start=self.supervisor.start
        ).run()
        return prepared

    @property
    def current(self) -> str | None:
        """The release that is current."""
        link = self.target.shell.read_link(self.target.paths.current)
        return link and link.rpartition("/")[2]


@pytest.fixture
def field(stack: Stack, target: Target, supervisor: Any, watcher: Any) -> Field:
    """Everything of one test."""
    return Field(stack, target, supervisor, watcher)


def test_planning_changes_nothing(field: Field, tmp_path: Path) -> None:
    """A plan can be printed and thrown away."""
    field.prepare()

    assert not (tmp_path / "root").exists()
    assert not (tmp_path / "run").exists()


def test_first_deploy_starts_the_stack(field: Field) -> None:
    """Every step is done in order, and the release is current with its files in it."""
    prepared = field.deploy()

    assert field.watcher.done == [
        "build",
        "environment",
        "copy",
        "release command",
        "switch",
        "start",
        "health",
        "prune",
    ]
    assert field.current == prepared.plan.release
    assert (Path(field.target.paths.current) / "shop.py").read_text() == "class Root: pass\n"
    assert field.supervisor.state().release_dir.endswith(prepared.plan.release)


def test_second_deploy_rolls_and_keeps_the_environment(field: Field) -> None:
    """Nothing but the code is new: workers are rolled, no environment is made."""
    field.deploy()
    field.watcher.done.clear()
    venvs = sum("venv" in " ".join(argv) for argv in field.target.shell.ran)
    (Path(field.stack.directory) / "shop.py").write_text("class Root: new = True\n")
    second = field.deploy()

    assert "roll" in field.watcher.done
    assert ("roll", {"release": second.plan.release}) in field.supervisor.asked
    assert sum("venv" in " ".join(argv) for argv in field.target.shell.ran) == venvs
    assert field.current == second.plan.release
    assert "web.1: starts as process 4711" in field.watcher.lines


def test_a_stack_without_its_nginx_does_not_count(field: Field) -> None:
    """Somebody took the port since the plan was made: what answers there is not ours, and the deploy fails."""
    field.supervisor.nginx_problem = "nginx does not start\n[emerg] bind() to 127.0.0.1:8080 failed"
    with pytest.raises(GateFailed, match="nginx does not start") as caught:
        field.deploy()

    assert "[emerg] bind()" in caught.value.output
    assert not field.supervisor.running


def test_changed_stack_is_applied(field: Field) -> None:
    """With another number of threads the supervisor has to read the stack anew, not only to roll."""
    field.deploy()
    text = (Path(field.stack.directory) / "kirsch.toml").read_text() + "\n[pool.web]\nthreads = 3\n"
    (Path(field.stack.directory) / "kirsch.toml").write_text(text)
    from kirsch.spec import load_stack

    field.stack = load_stack(Path(field.stack.directory) / "kirsch.toml")
    field.deploy()

    assert ("apply", {}) in field.supervisor.asked


def test_broken_release_leaves_the_old_one_current(field: Field) -> None:
    """The roll fails: current, state and workers are the old ones', and the traceback comes with the error."""
    first = field.deploy()
    field.supervisor.everything_breaks = True

    with pytest.raises(GateFailed) as caught:
        field.deploy()
    field.supervisor.everything_breaks = False

    assert caught.value.report["traceback"] == "Traceback: SyntaxError"
    assert caught.value.exit_status == 1
    assert field.current == first.plan.release
    assert field.supervisor.state().release == first.plan.release
    assert field.supervisor.release == first.plan.release


def test_release_that_does_not_answer_is_rolled_back(field: Field) -> None:
    """The workers came up but the gate is shut: they are rolled back to the release of before."""
    first = field.deploy()

    def gate(questions: tuple[Question, ...]) -> int:
        raise Refused(questions[0], Reply(500, "page"))

    log = Path(field.target.paths.log_dir) / "web.1.log"
    log.write_text("RuntimeError: database gone\n")
    with pytest.raises(GateFailed, match=r"web\.1: GET / answers 500") as caught:
        field.deploy(gate=gate)

    assert caught.value.output == "RuntimeError: database gone"

    assert field.supervisor.asked[-1] == ("roll", {"release": first.plan.release})
    assert field.supervisor.release == first.plan.release
    assert field.current == first.plan.release


def test_broken_first_deploy_leaves_nothing_running(field: Field) -> None:
    """There is nothing to go back to: the supervisor is stopped, no release is current."""
    field.supervisor.everything_breaks = True

    with pytest.raises(GateFailed):
        field.deploy()

    assert not field.supervisor.running
    assert field.current is None


def test_failing_release_command_stops_before_the_switch(field: Field) -> None:
    """A migration that fails touches neither current nor the workers, and its output is kept."""
    first = field.deploy()
    field.target.shell.answers["echo prepared"] = Ran(3, "no such table\n")

    with pytest.raises(DeployError, match="status 3") as caught:
        field.deploy()

    assert "no such table" in caught.value.output
    assert caught.value.step == "release command"
    assert field.current == first.plan.release
    assert field.watcher.reversions == []


def test_release_command_finds_the_programs_of_its_release(field: Field) -> None:
    """It runs with the environment's folder first on the PATH and knows the shared folder."""
    prepared = field.deploy()
    command = field.target.shell.ran.index(["/bin/sh", "-c", "echo prepared"])
    environ = field.target.shell.environs[command]

    assert environ["PATH"].startswith(prepared.after.python.rpartition("/")[0])
    assert environ["KIRSCH_SHARED"] == field.target.paths.shared
    assert environ["KIRSCH_RELEASE"] == prepared.plan.release


def test_history_tells_every_deploy(field: Field) -> None:
    """Good and bad ones, with what was current before."""
    first = field.deploy()
    field.supervisor.everything_breaks = True
    with pytest.raises(GateFailed):
        field.deploy()
    lines = read_lines(field.target.shell, field.target.paths.history)

    assert [line.outcome for line in lines] == ["done", "failed"]
    assert lines[1].previous == first.plan.release
    assert "did not come up" in (lines[1].reason or "")


def test_a_believed_forgery_fails_the_deploy(field: Field) -> None:
    """The release of before serves again: a client that can be anybody is worse than old code."""
    first = field.deploy()
    truth = Belief(base="http://h", remote="192.0.2.7", scheme="http")
    lie = Belief(base="http://h", remote="203.0.113.66", scheme="http")

    def probe(stack: Stack, paths: HostPaths) -> list[Probing]:
        door = next(doors_of(stack))
        return [Probing(door, truth, (judge(FORGERIES[0], truth, lie),))]

    with pytest.raises(GateFailed, match="somebody else") as caught:
        field.deploy(probe=probe)

    assert "X-Forwarded-For: 203.0.113.66: BELIEVED remote 203.0.113.66" in caught.value.output
    assert field.current == first.plan.release


def test_old_releases_are_pruned(field: Field) -> None:
    """The newest five stay; what failed does not count among them."""
    for _ in range(7):
        field.deploy()

    assert len(field.target.shell.list(field.target.paths.releases)) == 5


def test_root_of_another_stack_is_refused(field: Field, stack: Stack) -> None:
    """Two stacks in one root would take each other's `current`."""
    field.deploy()
    import msgspec

    field.stack = msgspec.structs.replace(stack, name="other")

    with pytest.raises(DeployError, match='belongs to the stack "shop"'):
        field.prepare()


def test_ports_of_the_running_stack_are_kept(field: Field) -> None:
    """8080 is taken, by ourselves: a second deploy stays there instead of moving on."""
    field.deploy()
    second = field.prepare(free=lambda listen: False)

    assert second.plan.stack.vhosts["main"].listen[0].port == 8080
    assert second.plan.notes == ()


def test_taken_port_is_said(field: Field) -> None:
    """The next free port is taken, and the plan says which one was not to be had."""
    prepared = field.prepare(free=lambda listen: listen.port not in {8080, 8081})

    assert prepared.plan.stack.vhosts["main"].listen[0].port == 8082
    assert "port 8080 was taken" in prepared.plan.notes[0]


def test_interrupted_roll_is_rolled_back(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the one who asked, not the roll: it has to be undone by another."""
    first = field.deploy()
    stream = field.supervisor.stream

    def interrupt(verb: str, **args: Any) -> Any:
        monkeypatch.undo()
        for _ in stream(verb, **args):
            yield {"event": {"kind": "rolled"}}
            raise KeyboardInterrupt

    monkeypatch.setattr(field.supervisor, "stream", interrupt)
    with pytest.raises(KeyboardInterrupt):
        field.deploy()

    assert field.supervisor.asked[-1] == ("roll", {"release": first.plan.release})
    assert field.current == first.plan.release
    assert field.supervisor.release == first.plan.release


def test_full_disk_is_an_error_in_words(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the system has the step and the host with it, and no traceback of ours."""
    first = field.deploy()

    def put(source: Path, path: str) -> None:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(field.target.shell, "put", put)
    with pytest.raises(DeployError, match="No space left") as caught:
        field.deploy()

    assert (caught.value.step, caught.value.host) == ("copy", "testhost")
    assert field.current == first.plan.release


def test_what_cannot_be_pruned_does_not_fail_a_deploy(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new release serves already."""
    for _ in range(6):
        field.deploy()
    monkeypatch.setattr("kirsch.release.deploy.prune", _refuse)
    last = field.deploy()

    assert field.current == last.plan.release
    assert field.watcher.done[-1] == "prune"


def _refuse(*args: object, **given: object) -> None:
    raise OSError(39, "Directory not empty")
