"""Background work."""

from __future__ import annotations

import threading

import pytest

from cherrypy.process.monitor import BackgroundTask, Monitor, PerpetualTimer
from cherrypy.process.wspbus import Bus


def test_a_monitor_works_between_start_and_stop() -> None:
    """In a daemon thread that bears its name."""
    ran = threading.Event()
    bus = Bus()
    monitor = Monitor(bus, ran.set, frequency=0.001, name="watch")
    monitor.subscribe()

    bus.start()
    assert ran.wait(5)
    thread = monitor.thread
    assert thread is not None
    assert thread.daemon
    assert thread.name == "watch"
    bus.exit()
    thread.join(5)

    assert monitor.thread is None
    assert not thread.is_alive()


@pytest.mark.parametrize("frequency", [0, -1])
def test_no_frequency_is_off(frequency: float) -> None:
    """Zero and less."""
    monitor = Monitor(Bus(), lambda: None, frequency=frequency)

    monitor.start()

    assert monitor.thread is None


def test_graceful_is_a_fresh_thread() -> None:
    """With the frequency of now."""
    monitor = Monitor(Bus(), lambda: None, frequency=60)
    monitor.start()
    first = monitor.thread

    monitor.graceful()

    assert monitor.thread is not first
    monitor.stop()


def test_the_callback_may_stop_the_bus() -> None:
    """It cannot wait for its own end."""
    bus = Bus()

    def leave() -> None:
        bus.wait(bus.states.STARTED)  # an exit in the middle of a start ends the process
        bus.exit()

    monitor = Monitor(bus, leave, frequency=0.001)
    monitor.subscribe()

    bus.start()
    bus.wait(bus.states.EXITING)

    assert monitor.thread is None


def test_a_background_task_ends_at_its_first_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """After telling the bus."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    task = BackgroundTask(0.001, lambda: 1 / 0, bus=bus)

    task.start()
    task.join(5)

    assert len(said) == 1
    assert said[0].startswith("Error in background task thread function")


def test_a_cancelled_task_wakes_and_ends() -> None:
    """It does not sleep its hour to the end."""
    task = BackgroundTask(3600, lambda: None)
    task.start()

    task.cancel()
    task.join(5)

    assert not task.is_alive()


def test_a_perpetual_timer_repeats() -> None:
    """Until cancelled."""
    count = 0
    thrice = threading.Event()

    def tick() -> None:
        nonlocal count
        count += 1
        if count == 3:
            thrice.set()

    timer = PerpetualTimer(0.001, tick, bus=Bus())
    timer.start()

    assert thrice.wait(5)
    timer.cancel()
    timer.join(5)
    assert not timer.is_alive()
