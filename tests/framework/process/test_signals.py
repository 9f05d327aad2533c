"""Signals become channels."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from cherrypy.process.signals import SignalHandler
from cherrypy.process.wspbus import Bus


@pytest.fixture
def handler():
    """A handler that gives the signals back."""
    made = SignalHandler(Bus())
    yield made
    made.unsubscribe()


def test_a_signal_is_published_by_its_name(handler: SignalHandler) -> None:
    """And logged."""
    said: list[str] = []
    caught: list[int] = []
    handler.bus.subscribe("log", lambda msg, level: said.append(msg))
    handler.set_handler("SIGUSR2", lambda: caught.append(1))

    os.kill(os.getpid(), signal.SIGUSR2)

    assert caught == [1]
    assert said == ["Listening for SIGUSR2.", "Caught signal SIGUSR2."]


def test_previous_handlers_come_back(handler: SignalHandler) -> None:
    """Also when a signal was set twice."""
    before = signal.getsignal(signal.SIGUSR2)
    handler.set_handler(signal.SIGUSR2)
    handler.set_handler("SIGUSR2")

    handler.unsubscribe()

    assert signal.getsignal(signal.SIGUSR2) == before


@pytest.mark.parametrize("unknown", ["SIGNONSENSE", "nonsense", 4711])
def test_an_unknown_signal_is_refused(handler: SignalHandler, unknown: object) -> None:
    """By name and by number."""
    with pytest.raises(ValueError, match="No such signal"):
        handler.set_handler(unknown)


def test_the_defaults_are_the_documented_ones(handler: SignalHandler) -> None:
    """SIGTERM exits, SIGHUP restarts or exits, SIGUSR1 is graceful."""
    assert handler.handlers == {
        "SIGTERM": handler.bus.exit,
        "SIGHUP": handler.handle_SIGHUP,
        "SIGUSR1": handler.bus.graceful,
    }


def test_subscribing_outside_the_main_thread_is_said(handler: SignalHandler) -> None:
    """Python refuses it there; the application runs on without signals."""
    said: list[str] = []
    handler.bus.subscribe("log", lambda msg, level: said.append(msg))

    thread = threading.Thread(target=handler.subscribe)
    thread.start()
    thread.join(5)

    assert len(said) == 3
    assert said[0].startswith("Not listening for SIGTERM")


def test_sighup_exits_at_a_terminal(handler: SignalHandler) -> None:
    """This process has not forked since."""
    handler.handle_SIGHUP()

    assert handler.bus.state is handler.bus.states.EXITING
    assert not handler.bus.execv


def test_sighup_restarts_a_daemon(handler: SignalHandler, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of another id, without a terminal."""
    monkeypatch.setattr(handler, "_is_daemonized", lambda: True)

    handler.handle_SIGHUP()

    assert handler.bus.execv


def test_a_signal_by_its_number(handler: SignalHandler) -> None:
    """The channel bears the name."""
    caught: list[int] = []
    handler.set_handler(signal.SIGUSR2.value, lambda: caught.append(1))

    os.kill(os.getpid(), signal.SIGUSR2)

    assert caught == [1]
    assert "SIGUSR2" in handler.bus.listeners


def test_all_signals_have_names() -> None:
    """SIGKILL is one; masks and real-time ranges are none."""
    assert SignalHandler.signals[9] == "SIGKILL"
    assert SignalHandler.signals[15] == "SIGTERM"
    assert not [name for name in SignalHandler.signals.values() if name.startswith(("SIG_", "SIGRT"))]


def test_subscribing_listens_for_all_handlers(handler: SignalHandler) -> None:
    """As they are at that moment: applications change them before."""
    caught: list[str] = []
    handler.handlers = {"SIGUSR1": lambda: caught.append("one"), "SIGUSR2": lambda: caught.append("two")}
    before = signal.getsignal(signal.SIGTERM)

    handler.subscribe()
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)

    assert caught == ["one", "two"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_handler_that_somebody_replaced_is_mentioned(handler: SignalHandler) -> None:
    """It is given back all the same."""
    said: list[str] = []
    handler.bus.subscribe("log", lambda msg, level: said.append(msg))
    before = signal.getsignal(signal.SIGUSR2)
    handler.set_handler("SIGUSR2")
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)

    handler.unsubscribe()

    assert signal.getsignal(signal.SIGUSR2) == before
    assert said[-1].endswith("but ours was not in its place.")


def test_the_terminal_of_a_closed_input_is_none(handler: SignalHandler, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon may have closed it."""
    handler._original_pid = 1
    monkeypatch.setattr(sys, "stdin", None)

    assert handler._is_daemonized()

    handler._original_pid = os.getpid()

    assert not handler._is_daemonized()
