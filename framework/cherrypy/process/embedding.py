"""A bus in a process that another server owns: nobody blocks on it, and workers may be forked from it."""

from __future__ import annotations

import os
import threading
from typing import Any

from cherrypy.process.states import states

FIRST = 0  # before the thread manager, which has to find the bus started


class Guest:
    """Keeps an embedded bus going in this process and in those that are forked from it."""

    def __init__(self, bus: Any) -> None:
        self.bus = bus
        self._pid = os.getpid()
        self._reviving = threading.Lock()

    def start(self) -> None:
        """Start the bus, and look at each request whether this is still the same process."""
        self.bus.start()
        self.bus.subscribe("acquire_thread", self.revive, FIRST)
        self.bus.subscribe("exit", self.leave)
        self._tick_in_background()

    def leave(self) -> None:
        """The bus exits."""
        self.bus.unsubscribe("acquire_thread", self.revive)
        self.bus.unsubscribe("exit", self.leave)

    def revive(self) -> None:
        """Start the bus in a forked process: no thread of the parent's has come along, but what it opened has.

        The parent's resources are not stopped (a connection that both hold would be closed for both); whoever listens
        to 'start' makes its own.
        """
        if os.getpid() == self._pid:
            return
        with self._reviving:
            if os.getpid() == self._pid:  # another thread was faster
                return
            self.bus.forget_threads()
            self.bus.start()
            self._tick_in_background()
            self._pid = os.getpid()

    def _tick_in_background(self) -> None:
        threading.Thread(target=self._tick, name="Bus main", daemon=True).start()

    def _tick(self) -> None:
        """Publish 'main' until the bus exits; a listener that fails has been logged, and is asked again."""
        while self.bus.state is not states.EXITING:
            try:
                self.bus.wait(states.EXITING, channel="main")
            except Exception:
                continue
