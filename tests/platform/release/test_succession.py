"""A deploy with another environment: the supervisor changes to it, or stays what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kirsch.errors import DeployError, GateFailed
from kirsch.release.deploy import Deploy
from kirsch.release.fleet import environment_of, supervisor_environment
from kirsch.release.history import read_lines
from kirsch.release.prepare import Prepared, prepare
from kirsch.release.shell import Ran
from kirsch.release.succession import Succession
from kirsch.release.target import Target
from kirsch.spec import Stack


class Field:
    """A stack that is deployed, and the verb that deploys it with other requirements."""

    def __init__(self, stack: Stack, target: Target, supervisor: Any, watcher: Any) -> None:
        self.stack, self.target, self.supervisor, self.watcher = stack, target, supervisor, watcher
        self.first = self.plan()
        self.run(self.first)
        self.watcher.done.clear()
        Path(stack.directory, "requirements.txt").write_text("flask\nrequests\n")

    def plan(self) -> Prepared:
        """Plan a deploy; every port is free."""
        return prepare(self.stack, self.target, self.supervisor.connect, free=lambda listen: True)

    def run(self, prepared: Prepared) -> None:
        """Do it."""
        Deploy(
            prepared,
            self.supervisor.connect,
            self.watcher,
            gate=lambda questions: 1,
            probe=lambda stack, paths: [],
            start=self.supervisor.start,
        ).run()

    @property
    def noted(self) -> str | None:
        """The environment that was written down for the supervisor."""
        return supervisor_environment(self.target.shell, self.target.paths)

    def asked(self, *verbs: str) -> list[str]:
        """Which of *verbs* the supervisor was asked for."""
        return [verb for verb, _ in self.supervisor.asked if verb in verbs]

    def assert_as_before(self) -> None:
        """The first release is current, served, and watched by the supervisor of its environment."""
        link = self.target.shell.read_link(self.target.paths.current) or ""
        assert self.supervisor.running
        assert self.supervisor.python == self.first.after.python
        assert self.supervisor.release == self.supervisor.state().release == self.first.plan.release
        assert link.endswith(self.first.plan.release)
        assert self.noted == environment_of(self.first.after.python)


@pytest.fixture
def field(stack: Stack, target: Target, supervisor: Any, watcher: Any) -> Field:
    """Everything of one test."""
    return Field(stack, target, supervisor, watcher)


def test_supervisor_changes_before_the_release_does(field: Field) -> None:
    """In its own process, before the release command, which cannot be taken back; and it is noted."""
    second = field.plan()
    field.run(second)
    done = field.watcher.done

    assert ("upgrade", {"python": second.after.python}) in field.supervisor.asked
    assert field.asked("upgrade", "leave", "roll") == ["upgrade", "roll"]
    assert done.index("supervisor") < done.index("release command") < done.index("switch") < done.index("roll")
    assert field.supervisor.release == second.plan.release
    assert field.noted == environment_of(second.after.python)


def test_the_next_deploy_leaves_the_supervisor_alone(field: Field) -> None:
    """It runs on the environment already, whoever has changed it and whatever was noted."""
    field.run(field.plan())
    field.target.shell.write(f"{field.target.paths.run}/supervisor.environment", b"stale\n")
    field.watcher.done.clear()
    field.run(field.plan())

    assert "supervisor" not in field.watcher.done


def test_supervisor_that_cannot_take_over_changes_nothing(field: Field) -> None:
    """What it printed comes with the error, and no release command was run."""
    field.supervisor.refuses = "ModuleNotFoundError: No module named 'msgspec'"
    ran = len(field.target.shell.ran)
    with pytest.raises(DeployError, match="stays the old one") as caught:
        field.run(field.plan())
    line = read_lines(field.target.shell, field.target.paths.history)[-1]

    field.assert_as_before()
    assert caught.value.output == "ModuleNotFoundError: No module named 'msgspec'"
    assert (caught.value.step, caught.value.exit_status) == ("supervisor", 1)
    assert not any("echo prepared" in " ".join(argv) for argv in field.target.shell.ran[ran:])
    assert field.watcher.reversions == []
    assert line.outcome == "failed"


@pytest.mark.parametrize("knows_upgrade", [True, False])
def test_supervisor_that_does_not_live_is_followed_by_the_old_one(field: Field, knows_upgrade: bool) -> None:
    """Its rehearsal went well, or there was none; it ended all the same, and its log is in the error."""
    field.supervisor.knows_upgrade = knows_upgrade
    second = field.plan()
    field.supervisor.stillborn.add(environment_of(second.after.python))
    Path(field.target.paths.log_dir, "supervisor.log").write_text("ImportError: libssl\n")
    with pytest.raises(DeployError, match="does not come up; the old one is back") as caught:
        field.run(second)

    field.assert_as_before()
    assert caught.value.output == "ImportError: libssl"


def test_old_one_that_does_not_come_back_is_said(field: Field) -> None:
    """Nobody watches: whoever reads the error has to know."""
    second = field.plan()
    field.supervisor.stillborn |= {environment_of(second.after.python), environment_of(field.first.after.python)}

    with pytest.raises(DeployError, match="nor does the old one"):
        field.run(second)


def test_silent_one_is_ended_before_the_old_one_starts(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives and holds the lock, but answers nobody: the old one could not start beside it."""
    monkeypatch.setattr("kirsch.release.fleet.ANSWER_PATIENCE_S", 0.2)
    second = field.plan()
    field.supervisor.stillborn.add(environment_of(second.after.python))
    ended: list[list[str]] = []
    pid = field.supervisor.status()["pid"]
    shell = field.target.shell
    monkeypatch.setattr(shell, "is_alive", lambda pid: not ended)
    monkeypatch.setattr(shell, "run", lambda argv, **given: ended.append(argv))
    succession = Succession(
        shell,
        field.supervisor,
        field.target.paths,
        old=field.first.after.python,
        new=second.after.python,
        start=lambda python: field.supervisor.start(
            shell, field.target.paths, msgspec.structs.replace(second.after, python=python), {}
        ),
    )
    with pytest.raises(DeployError, match="the old one is back"):
        succession.change()

    field.assert_as_before()
    assert ended == [["/bin/sh", "-c", f"kill -KILL {pid}"]]


def test_supervisor_that_cannot_change_itself_leaves(field: Field) -> None:
    """An older version: it lets go of everything, and the new one is started."""
    field.supervisor.knows_upgrade = False
    second = field.plan()
    field.run(second)

    assert field.asked("upgrade", "leave", "roll") == ["upgrade", "leave", "roll"]
    assert field.supervisor.python == second.after.python
    assert field.noted == environment_of(second.after.python)


def test_release_that_fails_afterwards_takes_the_supervisor_back(field: Field) -> None:
    """First the workers, then the supervisor: as it was before the deploy."""
    second = field.plan()
    field.supervisor.broken.add(second.plan.release)
    with pytest.raises(GateFailed):
        field.run(second)

    field.assert_as_before()
    assert field.asked("upgrade", "roll") == ["upgrade", "roll", "upgrade"]
    assert any("supervisor is that of" in text for text in field.watcher.reversions)


def test_release_command_that_fails_takes_the_supervisor_back(field: Field) -> None:
    """Before the switch there is nothing else to take back."""
    field.target.shell.answers["echo prepared"] = Ran(3, "no such table\n")
    with pytest.raises(DeployError, match="status 3"):
        field.run(field.plan())

    field.assert_as_before()
    assert field.watcher.reversions == [f"the supervisor is that of {field.noted} again"]


def test_new_supervisor_goes_on_if_the_old_one_refuses(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going back is tried first as well; what failed the deploy is told, and that the supervisor is the new one."""
    second = field.plan()
    field.supervisor.broken.add(second.plan.release)
    stream = field.supervisor.stream

    def refuse_from_now_on(verb: str, **args: Any) -> Any:
        field.supervisor.refuses = "gone"
        return stream(verb, **args)

    monkeypatch.setattr(field.supervisor, "stream", refuse_from_now_on)
    with pytest.raises(GateFailed):
        field.run(second)

    assert field.supervisor.python == second.after.python
    assert "the supervisor of the new environment goes on" in field.watcher.reversions[-1]
    assert field.plan().before.supervisor_environment == environment_of(second.after.python)
