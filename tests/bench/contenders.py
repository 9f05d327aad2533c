"""Who takes part: the files in ``peers/``, each a program that serves the bench's pages, with its needs in its head.

A peer is started as ``peers/NAME.py PORT THREADS`` by the Python of its environment, with what it needs besides in
``BENCH_FILES`` (a folder with the static file), ``BENCH_SCRATCH`` (a folder to write to), ``BENCH_CERTIFICATE`` and
``BENCH_KEY`` (both empty for plain HTTP). Its head is inline script metadata (PEP 723) with a table of our own::

    dependencies          installed into the environment, by name
    tool.bench.place      its place in the table
    tool.bench.title      its name there
    tool.bench.environment  the virtual environment's name; "own" is the one that runs the bench
    tool.bench.programs   what else must be on the machine
    tool.bench.without    scenarios that it cannot serve, with the reason
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "bench"
PEERS = HERE / "peers"
_HEAD = re.compile(r"(?m)^# /// script\n((?:#.*\n)+?)# ///$")


class Unavailable(Exception):
    """A contender cannot take part; the text says why."""


@dataclass(frozen=True)
class Contender:
    """One server with one framework."""

    file: Path
    place: int
    title: str
    environment: str
    dependencies: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    without: dict[str, str] = field(default_factory=dict)

    def command(self, port: int, threads: int) -> list[str]:
        """What to run; the environment must have been made."""
        return [self.python(), str(self.file), str(port), str(threads)]

    def python(self) -> str:
        """The interpreter of its environment."""
        own = self.environment == "own"
        return sys.executable if own else str(CACHE / self.environment / "bin" / "python")

    def prepare(self) -> None:
        """Make its environment, once.

        Raises:
            Unavailable: something cannot be had on this machine.
        """
        for program in self.programs:
            if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is None:
                raise Unavailable(f"{program} is not installed")
        if self.environment == "own":
            return
        home = CACHE / self.environment
        stamp = home / "made-of"
        wanted = "\n".join(self.dependencies)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        venv.create(home, with_pip=True, clear=True)
        pip = [self.python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self.dependencies]
        done = subprocess.run(pip, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line.lower()] or [done.stderr.strip()]
            raise Unavailable(f"pip: {errors[-1]}")
        stamp.write_text(wanted)


def read_contender(file: Path) -> Contender:
    """Read the head of a peer.

    Raises:
        ValueError: it has none, or a wrong one.
    """
    found = _HEAD.search(file.read_text())
    if found is None:
        raise ValueError(f"{file.name}: no inline script metadata (PEP 723) at its head")
    head = tomllib.loads("".join(line[2:] for line in found[1].splitlines(keepends=True)))
    bench = head["tool"]["bench"]
    return Contender(
        file=file,
        place=bench.pop("place"),
        title=bench.pop("title"),
        environment=bench.pop("environment"),
        dependencies=tuple(head["dependencies"]),
        programs=tuple(bench.pop("programs", ())),
        without=bench.pop("without", {}),
        **bench,
    )


def all_contenders() -> list[Contender]:
    """Every file in ``peers/``, in the order of places; the first is what ratios are taken against."""
    return sorted((read_contender(file) for file in PEERS.glob("*.py")), key=lambda one: one.place)


def rival_python() -> str:
    """Make (once) the environment in which the released CherryPy runs, and name its interpreter."""
    rival = next(one for one in all_contenders() if one.environment == "rival")
    rival.prepare()
    return rival.python()
