"""What every verb keeps to: help, exit statuses, errors in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Kirsch = Callable[..., tuple[int, str]]
FLEET = ("workers", "roll", "scale", "drain", "undrain", "pause", "resume", "kill", "upgrade", "top")
VERBS = ("deploy", "status", "logs", "down", "check", "render", *FLEET)
ARGUMENTS = {"scale": "web=2", "drain": "web.1", "undrain": "web.1", "kill": "web.1"}


def test_help_lists_every_verb(kirsch: Kirsch) -> None:
    """The first thing that a new user types."""
    status, said = kirsch("--help")

    assert status == 0
    assert all(f"  {verb} " in said for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb(kirsch: Kirsch, verb: str) -> None:
    """Every verb explains itself and its files."""
    status, said = kirsch(verb, "--help")

    assert status == 0
    assert "--stack" in said
    assert "--inventory" in said


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ((), "  kirsch status            what runs, where, how well; kirsch top: the same, alive"),
        (("scale",), "  kirsch scale web=auto   between min and max, by the load"),
    ],
)
def test_help_keeps_its_lines(kirsch: Kirsch, argv: tuple[str, ...], line: str) -> None:
    """Examples stand under each other."""
    _, said = kirsch(*argv, "--help")

    assert line in said.splitlines()


def test_help_says_whole_what_a_verb_does(kirsch: Kirsch) -> None:
    """In one line, however wide the column of the verbs is."""
    _, said = kirsch("--help")

    assert "upgrade Change the version of the supervisor." in [" ".join(line.split()) for line in said.splitlines()]


def test_unknown_verb_is_wrong_input(kirsch: Kirsch) -> None:
    """Exit status 2, and a hint where to look."""
    status, said = kirsch("deplyo")

    assert status == 2
    assert "deplyo" in said


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_file_is_exit_status_2(kirsch: Kirsch, folder: Path, verb: str) -> None:
    """File, key, what was given, what is allowed, and the word that was probably meant."""
    (folder / "kirsch.toml").write_text(
        '[stack]\nname = "shop"\n[app.shop]\nentri = "shop:Root"\nentry = "shop:Root"\n'
    )
    status, said = kirsch(verb, *filter(None, [ARGUMENTS.get(verb)]))

    assert status == 2
    assert "kirsch.toml: app.shop.entri" in said
    assert "did you mean entry?" in said


def test_missing_file_is_exit_status_2(kirsch: Kirsch) -> None:
    """Not a traceback."""
    status, said = kirsch("deploy", "--stack", "none.toml")

    assert status == 2
    assert "none.toml: cannot be read" in said


def test_verb_that_does_not_go_over_ssh_says_so(kirsch: Kirsch, folder: Path) -> None:
    """With the verbs that do."""
    (folder / "cluster.toml").write_text('[host.web1]\naddress = "192.0.2.1"\n[host.web2]\naddress = "192.0.2.2"\n')
    status, said = kirsch("logs", "--inventory", "cluster.toml")

    assert status == 2
    assert "cluster.toml: host.web1.connection: this verb speaks to the machine that it is typed on" in said


def test_hosts_that_no_deploy_can_go_to_are_said(kirsch: Kirsch, folder: Path) -> None:
    """Every reason at once, before anybody is connected to."""
    (folder / "cluster.toml").write_text(
        '[host.edge1]\naddress = "192.0.2.1"\nroles = ["edge"]\n[host.here]\nconnection = "local"\n'
    )
    status, said = kirsch("deploy", "--inventory", "cluster.toml")

    assert status == 2
    assert "host.edge1.roles" in said
    assert "host.here.connection" in said


def test_dry_run_prints_the_plan_and_changes_nothing(kirsch: Kirsch, folder: Path) -> None:
    """Every step with its name, and no root afterwards."""
    status, said = kirsch("deploy", "--dry-run", "--inventory", "local.toml")

    assert status == 0
    assert all(name in said for name in ("build", "environment", "copy", "switch", "start", "health", "prune"))
    assert not (folder / "root").exists()


def test_root_is_beside_the_inventory(kirsch: Kirsch, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deploy means the same from wherever it is started."""
    (folder / "deeper").mkdir()
    monkeypatch.chdir(folder / "deeper")
    status, said = kirsch("deploy", "--dry-run", "--stack", "../kirsch.toml", "--inventory", "../local.toml")

    assert status == 0
    assert f"{folder}/root/releases/" in said


def test_status_of_nothing_fails(kirsch: Kirsch) -> None:
    """Exit status 1, and what to type."""
    status, said = kirsch("status", "--inventory", "local.toml")

    assert status == 1
    assert "kirsch deploy --inventory local.toml" in said


@pytest.mark.parametrize("verb", FLEET)
def test_verbs_for_a_running_stack_say_that_none_runs(kirsch: Kirsch, verb: str) -> None:
    """Exit status 1, and what to type."""
    status, said = kirsch(verb, *filter(None, [ARGUMENTS.get(verb)]), "--inventory", "local.toml")

    assert status == 1
    assert "does not run: kirsch deploy --inventory local.toml" in said


def test_scale_wants_a_pool_and_a_number(kirsch: Kirsch) -> None:
    """Exit status 2 with the rule."""
    status, said = kirsch("scale", "web:4")

    assert status == 2
    assert "POOL=NUMBER or POOL=auto" in said


def test_down_of_nothing_is_well(kirsch: Kirsch) -> None:
    """What is not there needs no stopping."""
    status, said = kirsch("down", "--inventory", "local.toml")

    assert status == 0
    assert "not running" in said


def test_purge_asks_or_is_told(kirsch: Kirsch, folder: Path) -> None:
    """Data is not removed by an accident in a script."""
    (folder / "root" / "shared").mkdir(parents=True)
    status, said = kirsch("down", "--purge", "--inventory", "local.toml")
    assert status == 2
    assert "--yes" in said
    assert (folder / "root" / "shared").exists()

    status, _ = kirsch("down", "--purge", "--yes", "--inventory", "local.toml")
    assert status == 0
    assert not (folder / "root").exists()
