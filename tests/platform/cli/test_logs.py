"""`kirsch logs`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kirsch.cli.logs import Tail

Kirsch = Callable[..., tuple[int, str]]


@pytest.fixture
def log_dir(folder: Path) -> Path:
    """Three logs under the root."""
    directory = folder / "root" / "shared" / "log"
    directory.mkdir(parents=True)
    (directory / "web.1.log").write_text("".join(f"line {number}\n" for number in range(30)))
    (directory / "supervisor.log").write_text("started\n")
    (directory / "nginx-error.log").write_text("")
    return directory


def test_last_lines_of_every_log(kirsch: Kirsch, log_dir: Path) -> None:
    """Each line bears the name of its log."""
    status, said = kirsch("logs", "--lines", "2", "--inventory", "local.toml")
    lines = said.splitlines()

    assert status == 0
    assert [line.split(None, 1) for line in lines] == [
        ["supervisor", "started"],
        ["web.1", "line 28"],
        ["web.1", "line 29"],
    ]


def test_logs_are_chosen_by_their_beginning(kirsch: Kirsch, log_dir: Path) -> None:
    """`web` means every worker of the pool."""
    _, said = kirsch("logs", "web", "--inventory", "local.toml")

    assert "line 29" in said
    assert "started" not in said


def test_unknown_log_names_those_that_are(kirsch: Kirsch, log_dir: Path) -> None:
    """Exit status 1, with the names to choose from."""
    status, said = kirsch("logs", "wbe", "--inventory", "local.toml")

    assert status == 1
    assert "nginx-error, supervisor, web.1" in said


def test_entries_are_by_time_and_filtered(kirsch: Kirsch, log_dir: Path) -> None:
    """A request is found in every log by its id, with its traceback; a status is nginx's."""
    (log_dir / "web.1.log").write_text(
        "2026-11-21T21:00:01.500Z INFO shop [a1] before\n"
        "2026-11-21T21:00:03.000Z ERROR cherrypy.error [a1] HTTP\n"
        "Traceback (most recent call last):\nValueError: no jam\n"
        "2026-11-21T21:00:04.000Z INFO shop [b2] another\n"
    )
    (log_dir / "nginx-access.log").write_text(
        '{"id":"a1","msec":"1795294802.000","method":"GET","uri":"/x","status":"500"}\n'
        '{"id":"b2","msec":"1795294804.500","method":"GET","uri":"/y","status":"200"}\n'
    )
    _, by_id = kirsch("logs", "--id", "a1", "--inventory", "local.toml")
    _, by_status = kirsch("logs", "--status", "5xx", "--json", "--inventory", "local.toml")
    _, by_level = kirsch("logs", "--level", "error", "--pool", "web", "--inventory", "local.toml")

    assert [line.split("[a1] ")[-1].split()[0] for line in by_id.splitlines()[:3]] == [
        "shop:",
        "500",
        "cherrypy.error:",
    ]
    assert by_id.splitlines()[-1].endswith("ValueError: no jam")
    assert json.loads(by_status)["request_id"] == "a1"
    assert by_level.count("ERROR") == 0
    assert "cherrypy.error: HTTP" in by_level
    assert "before" not in by_level


def test_large_log_is_read_from_its_end(tmp_path: Path) -> None:
    """Only the last block is looked at, from the first line that begins there."""
    path = tmp_path / "big.log"
    path.write_text("".join(f"{number:09}\n" for number in range(10_000)))

    assert [entry.text for entry in Tail(path).past(35)] == ["000009997", "000009998", "000009999"]


def test_new_lines_are_whole_and_each_once(tmp_path: Path) -> None:
    """A line that is being written waits for its end; a file that was rotated is read from its start."""
    path = tmp_path / "web.log"
    path.write_text("one\ntw")
    tail = Tail(path)
    assert [entry.text for entry in tail.new()] == ["one"]

    path.write_text("one\ntwo\n")
    assert [entry.text for entry in tail.new()] == ["two"]

    path.rename(tmp_path / "web.log.1")
    assert tail.new() == []
    path.write_text("three\nand one more\n")
    assert [entry.text for entry in tail.new()] == ["three", "and one more"]
