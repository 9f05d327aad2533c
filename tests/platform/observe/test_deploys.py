"""The deploys of a host."""

from __future__ import annotations

import json
from pathlib import Path

from kirsch.observe.deploys import SHOWN, Deploys


def line(number: int) -> str:
    return json.dumps(
        {"at": "2026-01-01T00:00:00Z", "by": "ada@x", "verb": "deploy", "release": f"r{number}", "outcome": "done"}
        | {"took_s": 1.5, "what_a_later_version_says": 1}
    )


def test_the_last_ones_are_shown(tmp_path: Path) -> None:
    """However many there were; a line that is cut is passed over; new ones are seen."""
    path = tmp_path / "history.jsonl"
    deploys = Deploys(str(path))
    before = deploys.last()
    path.write_text("".join(line(number) + "\n" for number in range(400)) + '{"at": "20')
    found = deploys.last()
    path.write_text(line(999) + "\n")

    assert before == ()
    assert [one.release for one in found] == [f"r{number}" for number in range(400 - SHOWN, 400)]
    assert [one.release for one in deploys.last()] == ["r999"]
