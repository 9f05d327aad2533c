"""The lines that deploys leave."""

from __future__ import annotations

from pathlib import Path

from kirsch.release.history import Line, append_line, read_lines
from kirsch.release.shell import LocalShell


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    """One JSON object a line."""
    shell = LocalShell()
    path = f"{tmp_path}/history.jsonl"
    lines = [
        Line(at="2026-01-01T00:00:00+00:00", by="a@b", verb="deploy", release=name, outcome="done", took_s=1.5)
        for name in ("one", "two")
    ]
    for line in lines:
        append_line(shell, path, line)

    assert read_lines(shell, path) == tuple(lines)
    assert len(Path(path).read_text().splitlines()) == 2


def test_line_cut_short_is_passed_over(tmp_path: Path) -> None:
    """A full disk does not make all history unreadable, and no file is no history."""
    path = tmp_path / "history.jsonl"
    assert read_lines(LocalShell(), str(path)) == ()

    path.write_text('{"at": "2026", "by"\n')
    assert read_lines(LocalShell(), str(path)) == ()
