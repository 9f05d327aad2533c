"""A stack on the disk, and the command line run in it."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kirsch.cli.verbs import run
from kirsch.spec import HostPaths, run_name

Kirsch = Callable[..., tuple[int, str]]
HOSTS = Path(__file__).parents[1] / "supervise" / "conftest.py"

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


@pytest.fixture
def host(folder: Path) -> Iterator[Any]:
    """A host that the files in *folder* lead to, with two workers behind three slots."""
    spec = importlib.util.spec_from_file_location("kirsch_cli_hosts", HOSTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    made = module.Host()
    root = made.paths.root
    made.paths = HostPaths(root=root, run=f"{made.folder}/{run_name(root, 'demo')}")
    made.control = module.ControlClient(made.paths.control_socket, timeout_s=60)
    os.makedirs(made.paths.run)
    os.symlink(made.paths.run, made.paths.run_link)
    (folder / "kirsch.toml").write_text('[stack]\nname = "demo"\n[app.shop]\nentry = "shop:Root"\n')
    (folder / "live.toml").write_text(f'[host.here]\nconnection = "local"\nroot = "{root}"\n')
    made.start(made.state(slots=3))
    made.wait_until_ready()
    yield made
    made.clean_up()


@pytest.fixture
def live(kirsch: Kirsch, host: Any) -> Kirsch:
    """The command line, at that host."""
    return lambda *argv: kirsch(*argv, "--inventory", "live.toml")
