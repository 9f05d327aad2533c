"""A stack on the disk, and the command line run in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kirsch.cli.verbs import run

STACK = """
[stack]
name = "shop"

[app.shop]
entry = "shop:Root"
"""
INVENTORY = """
port_policy = "next_free"

[host.here]
connection = "local"
root = "root"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with kirsch.toml and local.toml, which is the working one; run directories stay inside of it."""
    (tmp_path / "kirsch.toml").write_text(STACK)
    (tmp_path / "local.toml").write_text(INVENTORY)
    (tmp_path / "shop.py").write_text("class Root: pass\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kirsch(folder: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command line in that folder: its exit status and all that it printed."""

    def command(*argv: str) -> tuple[int, str]:
        capfd.readouterr()
        status = run(argv)
        printed = capfd.readouterr()
        return status, printed.out + printed.err

    return command
