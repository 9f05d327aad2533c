"""`kirsch rollback` and `kirsch history` on one machine, as far as no stack has to run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Kirsch = Callable[..., tuple[int, str]]
LINE = {"at": "2026-01-31T17:45:02+00:00", "by": "ann@desk", "verb": "deploy", "took_s": 3.25}


def write_history(folder: Path) -> None:
    """A release that served well, and one that did not."""
    good = {**LINE, "release": "r1", "outcome": "done"}
    bad = {**LINE, "release": "r2", "previous": "r1", "outcome": "failed", "reason": "web.1 failed to boot"}
    (folder / "root").mkdir()
    (folder / "root" / "history.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")


def test_history_says_what_how_and_why(kirsch: Kirsch, folder: Path) -> None:
    """A line a deploy, oldest first."""
    write_history(folder)
    status, said = kirsch("history", "--inventory", "local.toml")
    lines = [" ".join(line.split()) for line in said.splitlines()]

    assert status == 0
    assert "2026-01-31T17:45:02+00:00 deploy r1 - done 3.2 s ann@desk" in lines
    assert "2026-01-31T17:45:02+00:00 deploy r2 r1 failed 3.2 s ann@desk web.1 failed to boot" in lines


def test_history_for_programs(kirsch: Kirsch, folder: Path) -> None:
    """As many of the last lines as were asked for."""
    write_history(folder)
    status, said = kirsch("history", "--json", "--lines", "1", "--inventory", "local.toml")

    assert status == 0
    assert [line["release"] for line in json.loads(said)] == ["r2"]


def test_rollback_without_a_verified_release_says_so(kirsch: Kirsch, folder: Path) -> None:
    """Its files are gone, or it never served."""
    write_history(folder)
    status, said = kirsch("rollback", "--inventory", "local.toml")

    assert status == 1
    assert "no release to go back to" in said


def test_verbs_for_several_hosts_say_so(kirsch: Kirsch, folder: Path) -> None:
    """Where there is but this machine."""
    for words in (("doctor",), ("deploy", "--json"), ("rollback", "--json")):
        status, said = kirsch(*words, "--inventory", "local.toml")

        assert status == 2, words
        assert "hosts" in said
