"""Which hosts are fit, by what they say of themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kirsch.errors import DeployError, HostUnreachable
from kirsch.release.hosts import facts as script
from kirsch.release.hosts.preflight import Facts, PreflightFailed, Trouble, judge, our_tag, trouble_of
from kirsch.spec import Host

HOST = Host(name="web1", address="192.0.2.21", root="/srv/shop")
GOOD = Facts(
    version=(3, 11, 2),
    tag=our_tag(),
    python="/usr/bin/python3",
    has_venv=True,
    has_pip=True,
    user=1000,
    host="web1",
    clock=1.0,
    free_bytes=10**10,
    free_files=10**6,
    folder="/srv",
    writable=True,
    nginx="/usr/sbin/nginx",
    runs=False,
    taken=[],
    has=[],
    current=None,
    stack=None,
)


def test_a_good_host_is_fit() -> None:
    """Nothing is found where nothing is wrong."""
    assert judge(HOST, "shop", GOOD) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"version": (3, 9, 2)}, "Python 3.9.2; 3.11 or newer"),
        ({"tag": "cpython-313-riscv64"}, "is cpython-313-riscv64"),
        ({"has_venv": False}, "python3-venv"),
        ({"has_pip": False}, "python3-venv"),
        ({"writable": False}, "user 1000 may not write in /srv"),
        ({"free_bytes": 5 * 2**20}, "5 MiB are free in /srv, 300 MiB are needed"),
        ({"free_files": 7}, "7 files may still be made"),
        ({"skew_s": 61.0}, "its clock is 61 s off"),
        ({"stack": "other"}, 'belongs to the stack "other"'),
        ({"taken": [("0.0.0.0", 80)]}, "0.0.0.0:80 cannot be bound"),
    ],
)
def test_what_is_wrong_is_said(wrong: dict[str, Any], said: str) -> None:
    """One trouble, with the host's name and what helps."""
    (found,) = judge(HOST, "shop", msgspec.structs.replace(GOOD, **wrong))

    assert str(found).startswith("web1: ")
    assert said in found.what


def test_a_stack_that_runs_has_its_ports() -> None:
    """They are not free, and that is right."""
    assert judge(HOST, "shop", msgspec.structs.replace(GOOD, runs=True, taken=[("0.0.0.0", 80)])) == []


def test_error_names_every_host_and_reason() -> None:
    """All at once, and that nothing was changed."""
    troubles = [
        trouble_of("web1", HostUnreachable("Connection refused", host="web1")),
        trouble_of("web2", DeployError("no python3 there")),
        Trouble("web2", "its clock is 61 s off"),
    ]

    assert str(PreflightFailed(troubles)).splitlines() == [
        "not fit for a deploy: web1, web2; nothing was changed",
        "  web1: cannot be reached: Connection refused",
        "  web2: no python3 there",
        "  web2: its clock is 61 s off",
    ]


def test_facts_of_this_machine(tmp_path: Path) -> None:
    """The file runs as it is sent: alone, from standard input, with what it is asked as its argument."""
    root = tmp_path / "srv" / "shop"
    (root / "kit" / "agent-1").mkdir(parents=True)
    (root / "releases" / "r1").mkdir(parents=True)
    (root / "current").symlink_to("releases/r1")
    (root / "stack.name").write_text("shop\n")
    asked = json.dumps({"root": str(root), "ports": [["192.0.2.1", 80], ["127.0.0.1", 0]]})
    source = Path(script.__file__).read_bytes()
    ran = subprocess.run([sys.executable, "-I", "-", asked], input=source, capture_output=True, check=True)
    found = msgspec.json.decode(ran.stdout, type=Facts)

    assert (found.current, found.stack, found.has, found.runs) == ("r1", "shop", ["agent-1"], False)
    assert found.version == sys.version_info[:3]
    assert found.taken == [("192.0.2.1", 80)]
    assert found.folder == str(root)


def test_facts_where_nothing_is_yet(tmp_path: Path) -> None:
    """The nearest folder above is looked at, and nothing is made."""
    found = script.look(str(tmp_path / "srv" / "shop"), [])

    assert (found["folder"], found["current"], found["stack"], found["has"]) == (str(tmp_path), None, None, [])
    assert list(tmp_path.iterdir()) == []
