"""`kirsch logs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kirsch.cli.logs import last_lines, new_lines

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


def test_large_log_is_read_from_its_end(tmp_path: Path) -> None:
    """Only the last block is looked at."""
    path = tmp_path / "big.log"
    path.write_text("".join(f"{number:09}\n" for number in range(10_000)))

    assert last_lines(path, 2, block_bytes=100) == ["000009998", "000009999"]


def test_new_lines_are_whole_and_each_once(tmp_path: Path) -> None:
    """A line that is being written waits for its end; a file that was rotated is read from its start."""
    path = tmp_path / "web.log"
    offsets: dict[Path, int] = {}
    path.write_text("one\ntw")
    assert list(new_lines(path, offsets)) == ["one"]

    path.write_text("one\ntwo\n")
    assert list(new_lines(path, offsets)) == ["two"]

    path.write_text("new\n")
    assert list(new_lines(path, offsets)) == ["new"]
