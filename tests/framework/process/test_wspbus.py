"""The bus: channels in order, states in order, errors that reach whoever started it."""

from __future__ import annotations

import pytest

from cherrypy.process.wspbus import Bus, ChannelFailures, states


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


def test_listeners_run_in_order_of_priority(bus: Bus) -> None:
    """The argument wins over the attribute, which wins over 50."""
    called = []

    def attributed() -> None:
        called.append("attribute 20")

    attributed.priority = 20
    bus.subscribe("start", lambda: called.append("default 50"))
    bus.subscribe("start", attributed)
    bus.subscribe("start", lambda: called.append("argument 10"), priority=10)
    bus.subscribe("start", lambda: called.append("argument 90"), priority=90)

    bus.publish("start")

    assert called == ["argument 10", "attribute 20", "default 50", "argument 90"]


def test_publish_returns_the_results(bus: Bus) -> None:
    """Arguments go to every listener, results come back."""
    bus.subscribe("sum", lambda a, b=0: a + b)

    assert bus.publish("sum", 1, b=2) == [3]


def test_a_new_bus_is_stopped_and_has_the_built_in_channels(bus: Bus) -> None:
    """Others appear with their first listener."""
    assert bus.state is states.STOPPED
    assert set(bus.listeners) == {"start", "stop", "exit", "graceful", "log", "main"}
    assert (bus.execv, bus.embedded) == (False, False)


@pytest.mark.parametrize("name", ["STOPPED", "STARTING", "STARTED", "STOPPING", "EXITING"])
def test_states_show_their_names(bus: Bus, name: str) -> None:
    """They are found on the bus as well."""
    assert repr(getattr(states, name)) == f"states.{name}"
    assert getattr(bus.states, name) is getattr(states, name)


def test_a_listener_that_cannot_be_called_is_refused(bus: Bus) -> None:
    """When it is subscribed, not hours later at a publication."""
    with pytest.raises(TypeError, match="A listener of 'exit' has to be callable; this is 'clean_up'"):
        bus.subscribe("exit", "clean_up")
    with pytest.raises(TypeError, match=r"The priority of .* on 'exit' is 'high'; it has to be a number"):
        bus.subscribe("exit", print, "high")

    assert bus.listeners["exit"] == set()


def test_a_channel_nobody_knows_is_silent(bus: Bus) -> None:
    """Publishing is no subscription."""
    assert bus.publish("nobody") == []
    assert "nobody" not in bus.listeners


def test_subscribe_decorates(bus: Bus) -> None:
    """Without a callback it is a decorator that returns the function."""

    @bus.subscribe("start", priority=7)
    def listener() -> str:
        return "heard"

    assert listener() == "heard"
    assert bus.publish("start") == ["heard"]
    assert bus._priorities["start", listener] == 7


def test_a_listener_is_once_on_a_channel(bus: Bus) -> None:
    """Subscribing twice is subscribing once; unsubscribing what is not there is nothing."""
    called = []

    def listener() -> None:
        called.append(1)

    bus.subscribe("main", listener)
    bus.subscribe("main", listener)
    bus.publish("main")
    bus.unsubscribe("main", listener)
    bus.unsubscribe("main", listener)
    bus.unsubscribe("elsewhere", listener)
    bus.publish("main")

    assert called == [1]


def test_every_listener_runs_though_one_fails(bus: Bus, said: list[str]) -> None:
    """The failures come together at the end, and are logged."""
    called = []

    def failing() -> None:
        raise ZeroDivisionError("here")

    bus.subscribe("custom", failing, priority=1)
    bus.subscribe("custom", lambda: called.append("later"), priority=2)

    with pytest.raises(ChannelFailures) as caught:
        bus.publish("custom")

    assert called == ["later"]
    assert [type(error) for error in caught.value.get_instances()] == [ZeroDivisionError]
    assert str(caught.value) == "ZeroDivisionError('here')"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert said[0].startswith(f"Error in 'custom' listener {failing!r}")


def test_a_failing_log_listener_is_not_logged(bus: Bus) -> None:
    """It would fail for ever."""
    bus.subscribe("log", lambda msg, level: 1 / 0)

    with pytest.raises(ChannelFailures):
        bus.log("hello")


def test_system_exit_passes_at_once_and_remembers_failures(bus: Bus) -> None:
    """A clean exit after a failed listener is not clean."""

    def leaving() -> None:
        raise SystemExit(0)

    bus.subscribe("custom", lambda: 1 / 0, priority=1)
    bus.subscribe("custom", leaving, priority=2)

    with pytest.raises(SystemExit) as caught:
        bus.publish("custom")

    assert caught.value.code == 1


def test_a_system_exit_keeps_its_own_code(bus: Bus) -> None:
    """Only a clean one is changed by failures."""

    def leaving() -> None:
        raise SystemExit(3)

    bus.subscribe("custom", lambda: 1 / 0, priority=1)
    bus.subscribe("custom", leaving, priority=2)

    with pytest.raises(SystemExit) as caught:
        bus.publish("custom")

    assert caught.value.code == 3


def test_a_keyboard_interrupt_passes_at_once(bus: Bus) -> None:
    """Later listeners are not called."""
    called = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    bus.subscribe("custom", interrupted, priority=1)
    bus.subscribe("custom", lambda: called.append(1), priority=2)

    with pytest.raises(KeyboardInterrupt):
        bus.publish("custom")

    assert called == []


def test_several_failures_are_shown_line_by_line(bus: Bus) -> None:
    """None of them is the cause of the whole."""
    bus.subscribe("custom", lambda: 1 / 0, priority=1)
    bus.subscribe("custom", lambda: [][1], priority=2)

    with pytest.raises(ChannelFailures) as caught:
        bus.publish("custom")

    assert str(caught.value) == "ZeroDivisionError('division by zero')\nIndexError('list index out of range')"
    assert repr(caught.value) == str(caught.value)
    assert caught.value.__cause__ is None


def test_failures_are_false_when_empty() -> None:
    """So that ``if failures`` reads well."""
    failures = ChannelFailures()

    assert not failures
    assert failures.get_instances() == []


def test_a_life_from_start_to_exit(bus: Bus, said: list[str]) -> None:
    """Every state is passed, and said."""
    seen = []
    for channel in ("start", "stop", "exit", "graceful"):
        bus.subscribe(channel, lambda channel=channel: seen.append((channel, repr(bus.state))))

    bus.start()
    bus.graceful()
    bus.exit()

    assert seen == [
        ("start", "states.STARTING"),
        ("graceful", "states.STARTED"),
        ("stop", "states.STOPPING"),
        ("exit", "states.EXITING"),
    ]
    assert said == [
        "Bus STARTING",
        "Bus STARTED",
        "Bus graceful",
        "Bus STOPPING",
        "Bus STOPPED",
        "Bus EXITING",
        "Bus EXITED",
    ]
    assert bus.state is states.EXITING


def test_a_failed_start_raises_and_leaves_the_process_alive(bus: Bus, said: list[str]) -> None:
    """CherryPy ended the process with 70 here; a caller, or a test, sees the reason instead."""

    def failing() -> None:
        raise OSError("port taken")

    bus.subscribe("start", failing)

    with pytest.raises(ChannelFailures, match="port taken"):
        bus.start()

    assert bus.state is states.EXITING
    assert any(line.startswith("Shutting down due to error in start listener:") for line in said)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupted_start_stops_what_has_started(bus: Bus, said: list[str], error: BaseException) -> None:
    """The servers' threads would keep the process alive for ever."""
    stopped: list[str] = []

    def interrupted() -> None:
        raise error

    bus.subscribe("start", interrupted)
    bus.subscribe("stop", lambda: stopped.append("stop"))

    with pytest.raises(type(error)) as caught:
        bus.start()

    assert caught.value is error
    assert stopped == ["stop"]
    assert bus.state is states.EXITING
    assert f"{type(error).__name__} while starting: shutting down bus" in said


def test_an_interrupt_between_start_and_started(bus: Bus) -> None:
    """Also the last word of a start may be interrupted."""
    stopped: list[str] = []
    bus.subscribe("stop", lambda: stopped.append("stop"))

    def interrupt(msg: str, level: int) -> None:
        if msg == "Bus STARTED":
            raise KeyboardInterrupt

    bus.subscribe("log", interrupt)

    with pytest.raises(KeyboardInterrupt):
        bus.start()

    assert stopped == ["stop"]


def test_a_failed_bus_can_be_started_again(bus: Bus) -> None:
    """Whoever caught the error may cure it."""
    failures = [OSError("not yet")]

    def once() -> None:
        if failures:
            raise failures.pop()

    bus.subscribe("start", once)
    with pytest.raises(ChannelFailures):
        bus.start()

    bus.start()

    assert bus.state is states.STARTED


def test_stop_and_start_again(bus: Bus, said: list[str]) -> None:
    """A stopped bus is no exited one."""
    bus.start()
    bus.stop()
    stopped = bus.state
    bus.start()

    assert stopped is states.STOPPED
    assert said[2:] == ["Bus STOPPING", "Bus STOPPED", "Bus STARTING", "Bus STARTED"]


def test_log_carries_the_traceback(bus: Bus, said: list[str]) -> None:
    """Of the exception being handled."""
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        bus.log("failed", traceback=True)

    assert said[0].startswith("failed\nTraceback")
    assert "ZeroDivisionError" in said[0]
