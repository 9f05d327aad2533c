"""Starts whole programs, and stops them as a terminal would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SERVING = re.compile(r"Serving on (http://127\.0\.0\.1:\d+)")
START_S = 30


class Program:
    """A running program.

    Attributes:
        url: where it serves, without the last slash.
        lines: what it has said so far, on both outputs.
    """

    def __init__(self, command: list[str], cwd: Path) -> None:
        self.lines: list[str] = []
        self.url = ""
        self._serving = threading.Event()
        # A restart of the program by its autoreloader would find another port: none of its files changes here.
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            found = SERVING.search(line)
            if found:
                self.url = found.group(1)
            if "ENGINE Bus STARTED" in line:
                self._serving.set()
        self._serving.set()

    def wait_until_serving(self) -> None:
        """Return when it serves; fail with what it said if it ended or hangs instead."""
        assert self._serving.wait(START_S), "".join(self.lines)
        assert self.url, "".join(self.lines)

    def stop(self, by: int = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(5)
        return status


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[Callable[[list[str]], Program]]:
    """A function that starts a command in the test's own folder, and returns when it serves."""
    started: list[Program] = []

    def start(command: list[str]) -> Program:
        program = Program(command, tmp_path)
        started.append(program)
        program.wait_until_serving()
        return program

    yield start
    for program in started:
        program.stop()


@pytest.fixture
def run(start_program: Callable[[list[str]], Program]) -> Callable[[str], Program]:
    """A function that starts ``programs/NAME.py``."""
    return lambda name: start_program([sys.executable, str(HERE / "launch.py"), str(HERE / "programs" / f"{name}.py")])
