"""The names that applications rely on are there, and what is not offered is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import surface  # noqa: E402


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``surface.py``, in a process of its own: it imports everything, and some of that mounts applications."""
    command = [sys.executable, str(HERE / "surface.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_no_name_is_lost() -> None:
    """Whoever renames or drops one of surface.json breaks applications."""
    done = run()

    assert done.returncode == 0, f"{done.stdout}{done.stderr}(python tests/compat/surface.py --help)"


def test_all_documented_modules_are_kept() -> None:
    """An empty file would lose nothing."""
    kept = surface.load()

    assert len(kept) >= 47
    assert len(list(surface.flat(kept))) > 1400
    assert {"cherrypy", "cherrypy._cptools", "cherrypy.lib.sessions", "cherrypy.process.plugins"} <= set(kept)


def test_what_is_said_to_be_absent_is_absent() -> None:
    """The list of absences does not outlive them, and gives a reason for each."""
    found: dict[str, dict[str, object]] = json.loads(run("--dump").stdout)
    present = {dotted for dotted, _ in surface.flat(found)}
    groups = json.loads(surface.ABSENT.read_text(encoding="utf-8"))

    assert not {name for group in groups if not group.get("differs") for name in group["names"]} & present
    assert {name for group in groups if group.get("differs") for name in group["names"]} <= present
    assert all(len(group["reason"]) > 20 for group in groups)


@pytest.mark.parametrize(
    ("kept", "now", "expected"),
    [
        ("(a, b=1)", "(a, b=1)", True),
        ("(a, b=1)", "(a, b=1, c=None)", True),
        ("(a, b=1)", "(a, b=1, c)", False),
        ("(a, b=1)", "(b=1, a=2)", False),
        ("(a, b=1)", "(a, b=2)", False),
        ("(a, b)", "(a, b=2)", True),
        ("(a)", "(renamed)", False),
        ("(self, a)", "(cls, a)", True),
        ("(self, *args, **kwargs)", "(self, *a, **kw)", True),
        ("(self, **kwargs)", "(self)", False),
        ("(a=[1, 2])", "(a=(1, 2))", True),
        ("(a=(1, 2), b=3)", "(a=(1, 2))", False),
        ("(a=...)", "(a=None)", True),
        ("(a)", "object", False),
        ("object", "(a)", True),
        ("class", "object", False),
        ("= 8080", "= 8080", True),
        ("= 8080", "= 80", False),
        ("= 8080", "object", True),
    ],
)
def test_what_counts_as_the_same_call(kept: str, now: str, expected: bool) -> None:
    """Further parameters may come if they are optional; nothing else may change."""
    assert surface.fits(kept, now) is expected


def test_losses_are_told() -> None:
    """Of names, of members, and of ways to call."""
    kept = {"m": {"f": "(a)", "C": {"__init__": "(self)", "x": "object"}, "gone": "object"}}
    now = {"m": {"f": "(b)", "C": {"__init__": "(self)"}}}

    assert surface.compare(kept, now) == ["m.f was (a), is (b)", "m.C.x is lost", "m.gone is lost"]
    assert surface.compare(kept, kept) == []
