"""The way back to a release that was verified, with a real disk and a supervisor that we play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import DeployError, GateFailed
from kirsch.release.deploy import Deploy
from kirsch.release.history import read_lines
from kirsch.release.prepare import Prepared, prepare
from kirsch.release.rollback import choose_release, prepare_rollback, verified_releases
from kirsch.release.target import Target
from kirsch.spec import Stack


class Field:
    """A stack, a host, a supervisor and a watcher, and the verbs that play with them."""

    def __init__(self, stack: Stack, target: Target, supervisor: Any, watcher: Any) -> None:
        self.stack, self.target, self.supervisor, self.watcher = stack, target, supervisor, watcher

    def run(self, prepared: Prepared) -> str:
        """Do what was prepared; return the release's name."""
        Deploy(
            prepared,
            self.supervisor.connect,
            self.watcher,
            gate=lambda questions: 1,
            probe=lambda stack, paths: [],
            start=self.supervisor.start,
        ).run()
        return prepared.plan.release

    def deploy(self, code: str) -> str:
        """Deploy other code; return the release's name."""
        (Path(self.stack.directory) / "shop.py").write_text(code)
        return self.run(prepare(self.stack, self.target, self.supervisor.connect, free=lambda listen: True))

    def rollback(self, release: str | None = None) -> str:
        """Go back; return the release's name."""
        return self.run(prepare_rollback(self.target, self.supervisor.connect, release=release))

    @property
    def current(self) -> str | None:
        """The release that is current."""
        link = self.target.shell.read_link(self.target.paths.current)
        return link and link.rpartition("/")[2]


@pytest.fixture
def field(stack: Stack, target: Target, supervisor: Any, watcher: Any) -> Field:
    """Everything of one test."""
    return Field(stack, target, supervisor, watcher)


def test_back_to_the_last_verified_release(field: Field) -> None:
    """Nothing is built, no release command runs; the history says what it was."""
    first = field.deploy("one = 1\n")
    second = field.deploy("two = 2\n")
    programs = len(field.target.shell.ran)  # type: ignore[attr-defined]
    field.watcher.done.clear()
    back = field.rollback()
    last = read_lines(field.target.shell, field.target.paths.history)[-1]

    assert back == first
    assert field.current == first == field.supervisor.release
    assert field.watcher.done == ["switch", "roll", "health"]
    assert len(field.target.shell.ran) == programs  # type: ignore[attr-defined]
    assert (last.verb, last.release, last.previous, last.outcome) == ("rollback", first, second, "done")


def test_back_again_is_forward(field: Field) -> None:
    """After a rollback the last verified other release is the one that was left."""
    field.deploy("one = 1\n")
    second = field.deploy("two = 2\n")
    field.rollback()

    assert field.rollback() == second


def test_release_by_name(field: Field) -> None:
    """Any that served well and is still there."""
    first = field.deploy("one = 1\n")
    field.deploy("two = 2\n")
    field.deploy("three = 3\n")

    assert field.rollback(first) == first


def test_failed_release_is_no_way_back(field: Field) -> None:
    """It was never verified, though its files are there."""
    first = field.deploy("one = 1\n")
    (Path(field.stack.directory) / "shop.py").write_text("broken\n")
    prepared = prepare(field.stack, field.target, field.supervisor.connect, free=lambda listen: True)
    field.supervisor.broken = {prepared.plan.release}
    with pytest.raises(GateFailed):
        field.run(prepared)

    assert verified_releases(field.target.shell, field.target.paths) == (first,)
    with pytest.raises(DeployError, match="was never verified here"):
        prepare_rollback(field.target, field.supervisor.connect, release=prepared.plan.release)


def test_rollback_that_fails_changes_nothing(field: Field) -> None:
    """The release that served goes on."""
    first = field.deploy("one = 1\n")
    second = field.deploy("two = 2\n")
    field.supervisor.broken = {first}
    with pytest.raises(GateFailed):
        field.rollback()

    assert field.current == second == field.supervisor.release


def test_stack_that_is_down_is_started_on_the_release(field: Field) -> None:
    """There is nothing to roll."""
    first = field.deploy("one = 1\n")
    field.deploy("two = 2\n")
    field.supervisor.call("stop")
    field.watcher.done.clear()
    field.rollback()

    assert field.current == first
    assert field.watcher.done == ["switch", "start", "health"]


@pytest.mark.parametrize(
    ("verified", "current", "wanted", "said"),
    [
        ((), None, None, "no release to go back to"),
        (("b",), "b", None, "no other one is there"),
        (("b", "a"), "b", "b", "b is current already; there are: a"),
        (("b", "a"), "b", "c", "c was never verified here, or is gone; there are: a"),
    ],
)
def test_no_way_back_is_said(verified: tuple[str, ...], current: str | None, wanted: str | None, said: str) -> None:
    """With what there is instead."""
    with pytest.raises(DeployError, match=said):
        choose_release(verified, current, wanted, "web1")
