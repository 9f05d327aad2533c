"""The units in deploy/systemd: what systemd itself says of it, and what must stand there."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kirsch.supervise.activation import CONTROL

UNIT = Path(__file__).parents[3] / "deploy" / "systemd" / "kirsch@.service"


def read(unit: Path = UNIT) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return parser


def test_the_socket_is_one_that_the_supervisor_takes() -> None:
    """Its name is known to it, nobody but root may connect, and the service of the same name is passed it."""
    unit = read(UNIT.with_name("kirsch@.socket"))["Socket"]

    assert unit["FileDescriptorName"] == CONTROL
    assert unit["ListenStream"].startswith("/")
    assert unit["SocketMode"] == "0600"
    assert "Service" not in unit


def test_workers_outlive_the_supervisor() -> None:
    """Only the main process is killed; it is started again, and watched."""
    service = read()["Service"]

    assert service["Type"] == "notify"
    assert service["KillMode"] == "process"
    assert service["Restart"] == "always"
    assert int(service["WatchdogSec"]) > 0
    assert "kill -HUP $MAINPID" in service["ExecReload"]


def test_it_is_hardened() -> None:
    """No new privileges, a read-only system but for the stack's own folders."""
    service = read()["Service"]

    for key in ("NoNewPrivileges", "ProtectKernelModules", "RestrictNamespaces", "PrivateDevices", "LockPersonality"):
        assert service[key] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == "/srv/%i /run/kirsch"


def test_systemd_accepts_it(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, and `security` rates its exposure as ok."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze on this machine")
    unit = tmp_path / "kirsch@shop.service"
    unit.write_text(UNIT.read_text())
    socket = tmp_path / "kirsch@shop.socket"
    socket.write_text(UNIT.with_name("kirsch@.socket").read_text())
    verified = subprocess.run(
        [tool, "verify", "--man=no", str(unit), str(socket)], capture_output=True, text=True, timeout=60
    )
    argv = [tool, "security", "--offline=true", "--threshold=45", "--no-pager", str(unit)]
    rated = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    said = [line for line in verified.stderr.splitlines() if "kirsch@" in line]
    level = re.search(r"Overall exposure level for .*?: ([0-9.]+)", rated.stdout)

    assert said == []
    assert level is not None, rated.stderr
    assert float(level[1]) <= 4.5
