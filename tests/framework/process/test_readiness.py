"""The status of a process that became a daemon."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cherrypy.process import readiness
from cherrypy.process.readiness import Witness, wait
from cherrypy.process.wspbus import Bus

DAEMON = """
import os, sys, time
from cherrypy.process import plugins, readiness, wspbus
bus = wspbus.Bus()
plugins.Daemonizer(bus).subscribe()
started = False
def note():
    global started
    started = True
    open({note!r}, 'w').write(str(os.getpid()))
{listener}
bus.start()
bus.exit()
"""


@pytest.mark.parametrize(
    ("listener", "status", "said"),
    [
        ("bus.subscribe('start', note, 90)", 0, ""),
        ("bus.subscribe('start', note, 90); bus.subscribe('start', lambda: 1 / 0)", 1, "The daemon could not start"),
        ("bus.subscribe('start', lambda: (note(), os._exit(7)), 90)", 1, "The daemon could not start"),
        ("readiness.PATIENCE_S = 0.1; bus.subscribe('start', lambda: (time.sleep(2), note()), 90)", 0, ""),
    ],
    ids=["started", "failed", "died", "slow"],
)
def test_a_daemon_that_cannot_start_is_told_by_the_status(
    tmp_path: Path, listener: str, status: int, said: str
) -> None:
    """It was 0 always, and nothing ran."""
    note = tmp_path / "note"

    done = subprocess.run(
        [sys.executable, "-c", DAEMON.format(note=str(note), listener=listener)],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.returncode, done.stderr.startswith(said), bool(done.stderr)) == (status, True, bool(said)), done.stderr
    deadline = time.monotonic() + 20
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert int(note.read_text()) > 0


@pytest.mark.parametrize(("word", "status"), [(readiness.STARTED, 0), (b"", 1), (None, 0)])
def test_what_the_parent_leaves_with(capfd: pytest.CaptureFixture[str], word: bytes | None, status: int) -> None:
    """By the child's word, its end, or its silence."""
    reading, writing = os.pipe()
    if word is not None:
        os.write(writing, word)
        os.close(writing)

    assert wait(reading, 0.01) == status
    assert ("could not start" in capfd.readouterr().err) == (status == 1)
    os.close(reading)


@pytest.mark.parametrize(
    ("lines", "word"),
    [(["Bus STARTED", "Bus STOPPING"], readiness.STARTED), (["Bus STARTING", "Bus STOPPING", "Bus STARTED"], b"")],
)
def test_the_first_thing_said_counts(lines: list[str], word: bytes) -> None:
    """Afterwards nobody listens."""
    bus = Bus()
    witness = Witness(bus)
    reading, witness._to_parent = os.pipe()
    bus.subscribe("log", witness.listen)

    for line in lines:
        bus.log(line)
    heard = os.read(reading, 100)
    os.close(reading)

    assert heard == word
    assert bus.listeners["log"] == set()


def test_a_parent_that_lost_patience_is_no_error() -> None:
    """The daemon runs on."""
    bus = Bus()
    witness = Witness(bus)
    reading, witness._to_parent = os.pipe()
    os.close(reading)

    witness.leave(readiness.STARTED)
    witness.leave(readiness.STARTED)

    assert witness._to_parent == -1
