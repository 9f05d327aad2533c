"""The end of a process: by whom it is held up, and that it comes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from cherrypy.process import exitwatch
from cherrypy.process.exitwatch import ExitWatch, describe_thread, join_threads
from cherrypy.process.wspbus import Bus, states

SAYING = """
import os, sys, threading, time
from cherrypy.process.wspbus import Bus
b = Bus()
b.subscribe('log', lambda msg, level: print(msg, flush=True))
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A program with a bus ``b`` that prints what it logs, to its end."""
    return subprocess.run([sys.executable, "-c", SAYING + program], capture_output=True, text=True, timeout=60)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses that the process would have ended with."""
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        raise InterruptedError("the process has ended")

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    return codes


@pytest.mark.parametrize("channel", ["stop", "exit"])
def test_a_deadlocked_listener_cannot_hang_the_exit(channel: str) -> None:
    """The process ends with 70, and the log shows where it hung."""
    done = run(f"""
b.exit_timeout_s = 0.2
def deadlocked():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
b.subscribe({channel!r}, deadlocked)
b.start()
b.exit()
""")

    assert done.returncode == 70, done.stderr
    assert "The exit has taken 0.2 s (engine.exit_timeout_s). Ending the process with 70." in done.stdout
    assert "in deadlocked" in done.stdout


def test_a_hanging_log_cannot_hang_the_exit() -> None:
    """Its report goes to standard error then."""
    done = run("""
from cherrypy.process import exitwatch
exitwatch.LAST_WORDS_S = 0.1
b.exit_timeout_s = 0.2
b.start()
b.subscribe('log', lambda msg, level: threading.Event().wait())
b.exit()
""")

    assert done.returncode == 70
    assert "The exit has taken 0.2 s" in done.stderr


def test_an_exit_in_time_is_left_alone(left: list[int]) -> None:
    """And its watcher ends with it."""
    bus = Bus()
    bus.exit_timeout_s = 60
    bus.start()

    bus.exit()

    watchers = [thread for thread in threading.enumerate() if thread.name == "Bus exit watch"]
    for thread in watchers:
        thread.join(5)
    assert not any(thread.is_alive() for thread in watchers)
    assert left == []


@pytest.mark.parametrize("limit", [0, None])
def test_no_limit_waits_for_ever(limit: float | None) -> None:
    """As CherryPy does: there is nobody who watches."""
    before = set(threading.enumerate())

    with ExitWatch(limit, lambda msg, level: None):
        during = set(threading.enumerate())

    assert during <= before


def test_the_default_limit_is_systemds() -> None:
    """Threads are waited for without one, since Python itself does."""
    assert (Bus.exit_timeout_s, Bus.join_timeout_s) == (90.0, None)


def test_a_second_exit_does_not_stop_everything_twice() -> None:
    """A second SIGTERM, or a stop listener that exits, comes back at once."""
    bus = Bus()
    called: list[str] = []
    said: list[str] = []
    bus.subscribe("log", lambda msg, level: said.append(msg))

    def impatient() -> None:
        called.append("stop")
        bus.exit()

    bus.subscribe("stop", impatient)
    bus.subscribe("exit", lambda: called.append("exit"))
    bus.start()

    bus.exit()

    assert called == ["stop", "exit"]
    assert "Bus is exiting already." in said
    assert bus.state is states.EXITING


def test_an_exit_during_a_restart_is_not_lost() -> None:
    """SIGTERM while the autoreloader restarts: the process has to end."""
    bus = Bus()
    bus.subscribe("stop", bus.exit)
    bus.start()

    bus.restart()

    assert not bus.execv


def test_a_restart_during_an_exit_is_refused() -> None:
    """A file that changes, or SIGHUP, while the process ends."""
    bus = Bus()
    said: list[str] = []
    bus.subscribe("log", lambda msg, level: said.append(msg))
    bus.subscribe("stop", bus.restart)
    bus.start()

    bus.exit()

    assert not bus.execv
    assert "Bus is exiting already; it is not restarted." in said


def test_a_restart_is_an_exit_that_block_follows_up() -> None:
    """``execv`` says so."""
    bus = Bus()
    bus.start()

    bus.restart()

    assert bus.execv
    assert bus.state is states.EXITING


def test_a_failed_stop_still_removes_what_exit_removes() -> None:
    """Pid files, for instance; then the status is 70."""
    done = run("b.subscribe('stop', lambda: 1/0); b.subscribe('exit', lambda: print('cleaned')); b.start(); b.exit()")

    assert done.returncode == 70
    assert "cleaned\n" in done.stdout
    assert "Error in 'stop' listener" in done.stdout


@pytest.mark.parametrize("error", ["1/0", "sys.exit(0)", "raise_(KeyboardInterrupt)"])
def test_an_exit_that_fails_ends_the_process(error: str) -> None:
    """Nobody above could do more; a second Ctrl-C ends it at once."""
    done = run(f"def raise_(kind): raise kind\nb.subscribe('exit', lambda: {error}); b.start(); b.exit(); print('no')")

    assert done.returncode == 70
    assert "no\n" not in done.stdout


def test_an_exit_while_starting_ends_the_process() -> None:
    """Somebody lost patience with a start listener; what has started is stopped before."""
    done = run("b.subscribe('start', b.exit); b.subscribe('stop', lambda: print('stopped')); b.start(); print('no')")

    assert done.returncode == 70
    assert "stopped\n" in done.stdout
    assert "no\n" not in done.stdout


def test_leaving_without_exit_warns_and_exits() -> None:
    """The interpreter is going: what can still be stopped is stopped."""
    done = run("b.subscribe('exit', lambda: print('left')); b.start()")

    assert "left\n" in done.stdout
    assert "RuntimeWarning" in done.stderr
    assert "states.STARTED" in done.stderr
    assert "bus.embed()" in done.stderr


@pytest.mark.parametrize("how", ["b.start(); b.stop()", "b.embed()", "b.is_guest = lambda: True; b.start()"])
def test_no_warning_where_nobody_was_to_block(how: str) -> None:
    """A stopped bus, and one in another server's process; both exit all the same."""
    done = run(f"b.subscribe('exit', lambda: print('left')); {how}")

    assert (done.returncode, done.stderr) == (0, "")
    assert "left\n" in done.stdout


def test_the_interpreter_waits_for_an_exit_under_way() -> None:
    """One that a daemon thread (the autoreloader) has begun is not cut off."""
    done = run("""
begun = threading.Event()
def slow():
    begun.set()
    time.sleep(0.3)
    print('stopped in good order', flush=True)
b.subscribe('stop', slow)
b.start()
threading.Thread(target=b.exit, daemon=True).start()
begun.wait()
""")

    assert "stopped in good order\n" in done.stdout
    assert "RuntimeWarning" not in done.stderr


def test_a_thread_that_holds_up_the_process_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line it waits at, once it has had some time."""
    monkeypatch.setattr(exitwatch, "PATIENCE_S", 0.01)
    said: list[tuple[str, int]] = []
    release = threading.Event()

    def tell(msg: str, level: int) -> None:
        said.append((msg, level))
        if "keeps the process alive" in msg:
            release.set()

    def stubborn() -> None:
        release.wait(10)

    thread = threading.Thread(target=stubborn, name="stubborn")
    thread.start()

    assert join_threads(None, tell)
    assert not thread.is_alive()
    assert ("Waiting for thread stubborn.", 20) in said
    assert any("keeps the process alive, stubborn:" in msg and "in stubborn" in msg for msg, _ in said)


def test_a_limit_for_threads_ends_the_process() -> None:
    """Only when one is set."""
    done = run("""
b.join_timeout_s = 0.2
b.start()
threading.Thread(target=threading.Event().wait, name='stuck').start()
b.exit()
b.block()
""")

    assert done.returncode == 70
    assert "It was waited for 0.2 s (engine.join_timeout_s), and is left behind." in done.stdout


def test_daemon_threads_are_not_waited_for() -> None:
    """They hold up no process."""
    said: list[str] = []
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(10,), daemon=True)
    thread.start()

    begun = time.monotonic()
    assert join_threads(None, lambda msg, level: said.append(msg))
    assert time.monotonic() - begun < 5
    assert not any(thread.name in line for line in said)
    release.set()


def test_an_ended_thread_is_described() -> None:
    """It has no stack any more."""
    thread = threading.Thread(target=int, name="brief")
    thread.start()
    thread.join()

    assert describe_thread(thread) == "brief:\n  (ended)\n"
