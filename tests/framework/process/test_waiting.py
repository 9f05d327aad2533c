"""Waiting for a bus: for a state, for its end, for its start."""

from __future__ import annotations

import threading

import pytest

from cherrypy.process.wspbus import Bus, states


@pytest.fixture
def bus():
    """A bus whose interpreter-exit warning is not ours to see."""
    made = Bus()
    yield made
    made.state = states.EXITING


@pytest.fixture
def said(bus: Bus) -> list[str]:
    """What the bus logs."""
    lines: list[str] = []
    bus.subscribe("log", lambda msg, level: lines.append(msg))
    return lines


@pytest.mark.parametrize("wrong", ["STARTED", None, [states.STARTED, 5]])
def test_waiting_for_what_is_no_state_is_refused(bus: Bus, wrong: object) -> None:
    """It would wait for ever."""
    with pytest.raises(TypeError, match=r"waited for by its states, such as bus.states.STARTED"):
        bus.wait(wrong)


def test_wait_returns_when_the_state_comes(bus: Bus) -> None:
    """One state or several, and the channel is published meanwhile."""
    ticks = threading.Event()
    bus.subscribe("main", ticks.set)
    waiting = threading.Thread(
        target=bus.wait, args=([states.STARTED, states.EXITING],), kwargs={"channel": "main", "interval": 0.01}
    )
    waiting.start()

    assert ticks.wait(5)
    bus.start()
    waiting.join(5)
    assert not waiting.is_alive()


def test_block_waits_for_threads_that_are_not_daemons(bus: Bus, said: list[str]) -> None:
    """And says whom it waits for."""
    bus.start()
    release = threading.Event()

    def work() -> None:
        release.wait(5)

    worker = threading.Thread(target=work, name="worker")
    worker.start()
    bus.subscribe("log", lambda msg, level: release.set() if msg == "Waiting for thread worker." else None)
    threading.Thread(target=bus.exit, daemon=True).start()

    bus.block(interval=0.01)

    assert not worker.is_alive()
    assert "Waiting for child threads to terminate..." in said


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("interrupted system call")])
def test_an_interrupted_block_exits(bus: Bus, said: list[str], error: BaseException) -> None:
    """Ctrl-C, and system calls that a signal interrupted."""
    bus.start()

    def interrupted() -> None:
        bus.unsubscribe("main", interrupted)
        raise error

    # publish() gathers ordinary errors; block sees those of the wait itself
    bus.wait = lambda *args, **kwargs: interrupted()

    bus.block()

    assert "Keyboard Interrupt: shutting down bus" in said
    assert bus.state is states.EXITING


def test_a_system_exit_in_a_listener_leaves_block(bus: Bus, said: list[str]) -> None:
    """With its code, after an exit in good order."""
    left: list[str] = []

    def leaving() -> None:
        raise SystemExit(5)

    bus.subscribe("main", leaving)
    bus.subscribe("exit", lambda: left.append("exit"))
    bus.start()

    with pytest.raises(SystemExit) as caught:
        bus.block(interval=0.001)

    assert caught.value.code == 5
    assert left == ["exit"]
    assert "SystemExit raised: shutting down bus" in said


def test_start_with_callback_runs_once_started(bus: Bus) -> None:
    """In a thread of its own."""
    seen = []

    thread = bus.start_with_callback(lambda *args, **kwargs: seen.append((bus.state, args, kwargs)), ("a",), {"b": 1})
    thread.join(5)

    assert seen == [(states.STARTED, ("a",), {"b": 1})]
