"""The file of the access log: at once while it is quiet, together when it is not, and never a line less."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cherrypy.core import accessfile
from cherrypy.core.accessfile import AccessFile
from cherrypy.core.logs import LogManager, reopen_all_files
from cherrypy.process.wspbus import bus


class Clock:
    """Time that passes when it is told to, with timers that go off then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.timers: list[Any] = []
        monkeypatch.setattr(accessfile, "monotonic", lambda: self.now)
        monkeypatch.setattr(accessfile.threading, "Timer", self.make_timer)

    def make_timer(self, delay: float, function: Any) -> Any:
        """Stand for ``threading.Timer``."""
        timer = FakeTimer(self.now + delay, function)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds
        due = [timer for timer in self.timers if timer.due <= self.now and timer.started]
        self.timers = [timer for timer in self.timers if timer not in due]
        for timer in due:
            timer.function()


class FakeTimer:
    """A timer that the clock fires."""

    daemon, name = False, ""

    def __init__(self, due: float, function: Any) -> None:
        self.due, self.function, self.started = due, function, False

    def start(self) -> None:
        """Count from now on."""
        self.started = True

    def cancel(self) -> None:
        """Do nothing when it is due."""
        self.started = False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time in the test's hand."""
    return Clock(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "access.log"


@pytest.fixture
def file(path: Path) -> Iterator[AccessFile]:
    """A handler with half a second, as it is by default."""
    made = AccessFile(path)
    made.setFormatter(accessfile.logfmt)
    yield made
    made.close()


def make_busy(file: AccessFile) -> None:
    """Write so many lines that the next ones have to wait."""
    for _ in range(accessfile._AT_ONCE):
        file.write_line("busy")


def test_lines_are_there_at_once_while_there_are_few(file: AccessFile, path: Path, clock: Clock) -> None:
    """Whoever tries something out sees its line before the answer."""
    for number in range(10):
        file.write_line(f"line {number}")
        assert path.read_text().endswith(f"line {number}\n")
        clock.advance(0.01)


def test_many_lines_are_gathered_for_half_a_second(file: AccessFile, path: Path, clock: Clock) -> None:
    """Not longer, even if no further line comes; then the next ones are written at once again."""
    make_busy(file)
    before = path.stat().st_size
    for _ in range(100):
        file.write_line("waits")
    clock.advance(0.49)
    waiting = path.stat().st_size
    clock.advance(0.02)

    assert before == waiting == 5 * accessfile._AT_ONCE
    assert path.read_text().count("waits\n") == 100
    file.write_line("at once")
    assert path.read_text().endswith("at once\n")


def test_a_large_batch_does_not_wait(file: AccessFile, path: Path, clock: Clock) -> None:
    """64 KiB are worth a write."""
    make_busy(file)
    for _ in range(70):
        file.write_line("x" * 1000)

    assert path.stat().st_size >= 65536
    clock.advance(1)
    assert path.read_text().count("x" * 1000 + "\n") == 70


def test_no_line_waits_when_it_is_switched_off(path: Path, clock: Clock) -> None:
    """``log.access_flush_s = 0``."""
    file = AccessFile(path, 0)
    make_busy(file)
    file.write_line("last")
    file.close()

    assert clock.timers == []
    assert path.read_text().endswith("last\n")


@pytest.mark.parametrize("end", ["flush", "close", "rotation", "stop", "exit"])
def test_what_is_gathered_is_written_before_an_end(path: Path, clock: Clock, end: str, tmp_path: Path) -> None:
    """Of the handler, of the file, or of the engine."""
    manager = LogManager("test_ends", "test_ends")
    manager.access_file = str(path)
    file = manager._get_builtin_handler(manager.access_log, "file")
    make_busy(file)
    file.write_line("last")
    assert not path.read_text().endswith("last\n")

    match end:
        case "flush":
            file.flush()
        case "close":
            manager.access_file = ""
        case "rotation":
            path.rename(tmp_path / "old.log")
            reopen_all_files()
            path.write_text((tmp_path / "old.log").read_text())
        case channel:
            assert accessfile.flush_all in bus.listeners[channel]
            accessfile.flush_all()

    assert path.read_text().endswith("busy\nlast\n")
    manager.access_file = ""


def test_a_record_is_written_like_a_line(file: AccessFile, path: Path) -> None:
    """By its formatter, for what others log there."""
    file.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    file.emit(logging.makeLogRecord({"msg": "caf\xe9 %s", "args": ("\udc80",), "levelname": "INFO"}))

    assert path.read_bytes() == b"INFO caf\xc3\xa9 \\udc80\n"


def test_a_pipe_gets_its_lines_one_by_one(tmp_path: Path, clock: Clock) -> None:
    """``/dev/stdout`` of a container, say: more than 4 KiB would not go in one piece."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = AccessFile(tmp_path / "pipe")
    make_busy(file)
    file.write_line("last")
    content = os.read(reader, 65536)
    file.close()
    os.close(reader)

    assert content.endswith(b"busy\nlast\n")


def test_lines_are_kept_until_the_disk_has_room(
    file: AccessFile, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said on stderr, no request fails, and half a line is continued where it ended."""
    real_write = os.write
    with monkeypatch.context() as full:
        room = [4]

        def write(descriptor: int, data: bytes) -> int:
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real_write(descriptor, data[: room.pop()])

        full.setattr(os, "write", write)
        file.write_line("first line")
        file.write_line("second line")
    file.write_line("third line")

    assert path.read_text() == "first line\nsecond line\nthird line\n"
    assert "No space left on device" in capsys.readouterr().err


def test_a_disk_that_stays_full_does_not_fill_the_memory(
    file: AccessFile, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mebibyte is kept, no more."""

    def write(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", write)
        full.setattr(file, "handleError", lambda record: None)
        for _ in range(30):
            file.write_line("x" * 50_000)
            assert file._size <= (1 << 20) + 50_001
    file.flush()


def test_without_a_thread_for_the_timer_lines_are_written_at_once(
    file: AccessFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while the interpreter ends."""

    class NoTimer(FakeTimer):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(accessfile.threading, "Timer", NoTimer)
    make_busy(file)
    file.write_line("last")

    assert path.read_text().endswith("busy\nlast\n")


def test_another_stream_in_its_place_gets_the_lines(file: AccessFile, path: Path, tmp_path: Path) -> None:
    """``setStream`` is a StreamHandler's."""
    with open(tmp_path / "other.log", "w") as other:
        before = file.setStream(other)
        file.write_line("elsewhere")
        file.setStream(before)

    assert (tmp_path / "other.log").read_text() == "elsewhere\n"
    assert path.read_text() == ""


def test_a_file_with_nothing_to_write_is_not_waited_for(file: AccessFile) -> None:
    """A fork must not wait for a thread that hangs in a pipe which nobody reads."""
    held, done = threading.Event(), threading.Event()

    def hang() -> None:
        with file.lock:
            held.set()
            done.wait(30)

    hanging = threading.Thread(target=hang)
    hanging.start()
    try:
        assert held.wait(10)
        flusher = threading.Thread(target=accessfile.flush_all, daemon=True)
        flusher.start()
        flusher.join(10)
        has_returned = not flusher.is_alive()
    finally:
        done.set()
        hanging.join()

    assert has_returned


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run *script* in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


ENDS = {
    "the interpreter": "",
    "sys.exit": "sys.exit(0)",
    "an exception": "try:\n    raise ValueError\nexcept ValueError:\n    raise SystemExit(0)",
    "SIGTERM": "cherrypy.server.unsubscribe(); cherrypy.engine.signals.subscribe(); cherrypy.engine.start();"
    "os.kill(os.getpid(), signal.SIGTERM); cherrypy.engine.block()",
    "a fork": "accessfile.flush_all(); file.write_line('x'); pid = os.fork()\nif not pid: file.flush(); os._exit(0)\n"
    "os.waitpid(pid, 0)",
    "a daemon": "if os.fork(): os._exit(0)",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_no_line_is_lost_or_doubled_when_the_process_ends(path: Path, end: str) -> None:
    """By whichever door; with lines that are waiting for minutes."""
    script = """
        import os, signal, sys
        import cherrypy
        from cherrypy.core import accessfile

        cherrypy.config.update({"log.screen": False, "log.access_flush_s": 60, "log.access_file": sys.argv[1]})
        (file,) = accessfile._files
        for number in range(3000):
            file.write_line(f"line {number}")
        assert file._lines
    """
    run(textwrap.dedent(script) + end, str(path))

    lines = [line for line in path.read_text().splitlines() if line != "x"]
    assert lines == [f"line {number}" for number in range(3000)]


def test_processes_write_into_one_file_without_tearing_lines(path: Path) -> None:
    """Whole lines, one write, at the end of the file."""
    script = """
        import sys
        from cherrypy.core.accessfile import AccessFile

        file = AccessFile(sys.argv[1], 0.001)
        for number in range(5000):
            file.write_line(f"{sys.argv[2]} {number} " + sys.argv[2] * (number % 300))
        file.close()
    """
    writers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(path), name]) for name in ("a", "b", "c")
    ]
    codes = [writer.wait(60) for writer in writers]
    lines = path.read_text().splitlines()

    assert codes == [0, 0, 0]
    for name in ("a", "b", "c"):
        own = [line for line in lines if line.startswith(name)]
        assert own == [f"{name} {number} " + name * (number % 300) for number in range(5000)]
    assert len(lines) == 15000
