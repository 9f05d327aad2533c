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


@pytest.mark.parametrize("wrong", ["60", None])
def test_a_frequency_that_is_no_number_is_refused(wrong: object) -> None:
    """With the monitor's name, by whoever starts the bus."""
    monitor = Monitor(Bus(), lambda: None, frequency=wrong, name="clean-up")

    with pytest.raises(TypeError, match=r"The frequency of 'clean-up' is .*; it has to be a number"):
        monitor.start()


def test_the_defaults_are_the_documented_ones() -> None:
    """Once a minute, under the name of the class, after the servers' privileges are still there."""
    bus = Bus()
    monitor = Monitor(bus, print)

    assert (monitor.frequency, monitor.name, monitor.thread) == (60, None, None)
    assert (monitor.start.priority, monitor.callback, monitor.bus) == (70, print, bus)


def test_what_is_said() -> None:
    """At the start, at a second one, at the stop, at a second one."""
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    monitor = Monitor(bus, lambda: None)

    monitor.start()
    monitor.start()
    monitor.stop()
    monitor.stop()

    assert said == [
        "Started monitor thread 'Monitor'.",
        "Monitor thread 'Monitor' already started.",
        "Stopped thread 'Monitor'.",
        "No thread running for Monitor.",
    ]


def test_a_monitor_that_failed_can_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It said that it had been started already, although nothing ran any more."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    monitor = Monitor(Bus(), lambda: 1 / 0, frequency=0.001)
    monitor.start()
    first = monitor.thread
    first.join(5)

    monitor.start()

    assert monitor.thread is not first
    monitor.stop()


def test_a_thread_that_is_no_daemon_is_waited_for() -> None:
    """Somebody may have put one there."""
    monitor = Monitor(Bus(), lambda: None)
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(5,), daemon=False)
    thread.cancel = release.set
    monitor.thread = thread
    thread.start()

    monitor.stop()

    assert not thread.is_alive()


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


def test_a_task_passes_its_arguments() -> None:
    """Again and again."""
    called: list[tuple[object, ...]] = []
    twice = threading.Event()

    def work(*args: object, **kwargs: object) -> None:
        called.append((args, kwargs))
        if len(called) == 2:
            twice.set()

    task = BackgroundTask(0.001, work, args=[1], kwargs={"b": 2})
    task.start()
    assert twice.wait(5)
    task.cancel()
    task.join(5)

    assert called[:2] == [((1,), {"b": 2})] * 2
    assert task.daemon
    assert not task.running


def test_a_task_cancelled_before_its_start_never_runs() -> None:
    """A stop may come that early."""
    ran: list[int] = []
    task = BackgroundTask(0, lambda: ran.append(1))
    task.cancel()

    task.start()
    task.join(5)

    assert ran == []


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


def test_a_perpetual_timer_tells_the_bus_of_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first error."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    said: list[str] = []
    bus = Bus()
    bus.subscribe("log", lambda msg, level: said.append(msg))
    timer = PerpetualTimer(0.001, lambda: 1 / 0, bus=bus)

    timer.start()
    timer.join(5)

    assert len(said) == 1
    assert said[0].startswith("Error in perpetual timer thread function")


def test_without_a_bus_between_processes_it_always_runs() -> None:
    """``run_once`` needs nobody else; a wrong word is refused at once."""
    ran = threading.Event()
    bus = Bus()
    monitor = Monitor(bus, ran.set, 0.001, run_once="cluster")
    monitor.subscribe()
    bus.start()
    came = ran.wait(5)
    bus.stop()

    assert came
    with pytest.raises(ValueError, match='allowed: "host", "cluster", None'):
        Monitor(bus, ran.set, run_once="once")


def test_a_bus_between_processes_decides() -> None:
    """It is asked in each period, with the name and the period."""
    asked = threading.Event()
    told: list[object] = []

    class Cluster:
        def run_once(self, function: object, name: str, **how: object) -> None:
            told.append((name, how))
            asked.set()

    bus = Bus()
    bus.cluster = Cluster()  # type: ignore[attr-defined]
    monitor = Monitor(bus, lambda: None, 0.001, name="clean-up", run_once="host")
    monitor.start()
    came = asked.wait(5)
    monitor.stop()

    assert came
    assert told[0] == ("monitor clean-up", {"scope": "host", "every_s": 0.001})
