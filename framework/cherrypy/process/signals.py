"""Operating system signals as channels of the bus."""

from __future__ import annotations

import os
import signal as system
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from cherrypy.process.wspbus import Bus

Handler = Callable[[], object]


class SignalHandler:
    """Publishes every signal it was told of on the channel of the signal's name, and runs a listener there.

    Attributes:
        handlers: {signal name: listener}; what ``subscribe`` installs. Change it before.
        signals: {number: name} of all signals of this system.
    """

    handlers: dict[str, Handler] = {}
    signals: dict[int, str] = {
        number.value: number.name for number in system.Signals if not number.name.startswith(("SIG_", "SIGRT"))
    }

    def __init__(self, bus: Bus) -> None:
        self.bus: Any = bus
        self.handlers = {"SIGTERM": bus.exit, "SIGHUP": self.handle_SIGHUP, "SIGUSR1": bus.graceful}
        self._previous_handlers: dict[int, Any] = {}
        self._original_pid = os.getpid()

    def subscribe(self) -> None:
        """Install all ``handlers``; outside the main thread, where Python allows none, it is said and left.

        In an embedded site the signals are the server's: nothing is installed.
        """
        if getattr(self.bus, "embedded", False) is True:
            self.bus.log("Not listening for signals: they belong to the server that owns the process.")
            return
        for name, listener in self.handlers.items():
            try:
                self.set_handler(name, listener)
            except ValueError as error:
                self.bus.log(f"Not listening for {name}: {error}")

    def unsubscribe(self) -> None:
        """Give the signals back to whoever handled them before."""
        for number, previous in self._previous_handlers.items():
            name = self.signals[number]
            if previous is None:  # installed by C code: Python cannot put it back
                self.bus.log(f"Restoring {name} handler to the default.")
                previous = system.SIG_DFL
            else:
                self.bus.log(f"Restoring {name} handler {previous!r}.")
            try:
                replaced = system.signal(number, previous)
                if replaced != self._handle_signal:
                    self.bus.log(f"Restored old {name} handler {previous!r}, but ours was not in its place.", level=30)
            except ValueError:
                self.bus.log(f"Unable to restore {name} handler {previous!r}", level=40, traceback=True)
        self._previous_handlers = {}

    def set_handler(self, signal: int | str, listener: Handler | None = None) -> None:
        """Publish *signal* (name or number) on the channel of its name from now on; *listener* subscribes to it.

        Raises:
            ValueError: there is no such signal, or this is not the main thread.
        """
        number, name = self._resolve(signal)
        previous = system.signal(number, self._handle_signal)
        if previous != self._handle_signal:
            self._previous_handlers[number] = previous
        if listener is not None:
            self.bus.log(f"Listening for {name}.")
            self.bus.subscribe(name, listener)

    def _resolve(self, signal: int | str) -> tuple[int, str]:
        if isinstance(signal, str):
            number = getattr(system, signal, None) if signal.startswith("SIG") else None
            if number is None:
                raise ValueError(f"No such signal: {signal!r}")
            return int(number), signal
        if signal not in self.signals:
            raise ValueError(f"No such signal: {signal!r}")
        return signal, self.signals[signal]

    def _handle_signal(self, signum: int, frame: FrameType | None = None) -> None:
        name = self.signals[signum]
        self.bus.log(f"Caught signal {name}.")
        self.bus.publish(name)

    def handle_SIGHUP(self) -> None:
        """Restart if daemonized, where nobody sits at a terminal; exit otherwise, when the terminal went away."""
        if self._is_daemonized():
            self.bus.log("SIGHUP caught while daemonized. Restarting.")
            self.bus.restart()
        else:
            self.bus.log("SIGHUP caught but not daemonized. Exiting.")
            self.bus.exit()

    def _is_daemonized(self) -> bool:
        """True in a process that has forked since this object was made and has no terminal as its input."""
        return self._original_pid != os.getpid() and not _stdin_is_terminal()


def _stdin_is_terminal() -> bool:
    try:
        return sys.stdin is not None and os.isatty(sys.stdin.fileno())
    except (ValueError, OSError):  # closed, or replaced by an object without a descriptor
        return False
