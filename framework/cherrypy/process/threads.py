"""Tells listeners of threads that begin, and cease, to handle requests."""

from __future__ import annotations

import threading

from cherrypy.process.plugin import SimplePlugin
from cherrypy.process.wspbus import Bus


class ThreadManager(SimplePlugin):
    """Publishes 'start_thread' for every thread's first request, 'stop_thread' for each of them at the end.

    Both channels pass the index of the thread, from 1.

    Attributes:
        threads: {thread ident: index}.
    """

    threads: dict[int, int] = {}

    def __init__(self, bus: Bus) -> None:
        self.threads = {}
        super().__init__(bus)
        for channel in ("acquire_thread", "start_thread", "release_thread", "stop_thread"):
            self.bus.listeners.setdefault(channel, set())

    def acquire_thread(self) -> None:
        """Note the calling thread; publish 'start_thread' if it is new."""
        ident = threading.get_ident()
        if ident not in self.threads:
            index = len(self.threads) + 1
            self.threads[ident] = index
            self.bus.publish("start_thread", index)

    def release_thread(self) -> None:
        """Forget the calling thread, and publish 'stop_thread' for it."""
        index = self.threads.pop(threading.get_ident(), None)
        if index is not None:
            self.bus.publish("stop_thread", index)

    def stop(self) -> None:
        """Forget all threads, and publish 'stop_thread' for each."""
        indexes = list(self.threads.values())
        self.threads.clear()
        for index in indexes:
            self.bus.publish("stop_thread", index)

    graceful = stop
