"""A bus in a process that another server owns: nobody blocks on it, and workers may be forked from it.

Where ``embed`` is called in a worker, or in the one process of the server, the bus starts at once. In the process that
gunicorn or uWSGI forks its workers from, it starts in each of them as soon as that is one, at the latest with a
request. Any other process starts it at once, and each one forked from it again with its first request.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Any

from cherrypy.process import owner
from cherrypy.process.states import states

FIRST = 0  # before the thread manager, which has to find the bus started


class Guest:
    """Keeps an embedded bus going in this process and in those that are forked from it."""

    def __init__(self, bus: Any) -> None:
        self.bus = bus
        self._pid = 0  # of the process in which the bus was started last
        self._loader = 0  # pid of the process that waits for a fork
        self._is_over = False
        self._renew()

    def _renew(self) -> None:
        """Make what threads share: a forked process has copies, locked by threads that it has not."""
        self._starting = threading.RLock()  # a start listener may send a request, to warm something up
        self._is_needed = threading.Event()

    def start(self) -> None:
        """Start the bus here, or in the processes that are forked from this one."""
        here = weakref.ref(self)  # a listener of forks cannot be taken back
        os.register_at_fork(after_in_child=lambda: _after_fork(here()))
        self.bus.subscribe("exit", self.leave)
        owner.call_at_end(self._end)
        if not owner.forks_later():
            self._run()
            return
        self._loader = os.getpid()
        self._arm()
        self.bus.log("Bus waits for the workers that are forked from this process.")
        owner.call_in_workers(self.revive)

    def _end(self) -> None:
        if not self._is_over and self._pid == os.getpid():
            self.bus.exit()

    def leave(self) -> None:
        """The bus exits."""
        self._is_over = True
        self.bus.unsubscribe("acquire_thread", self.revive)
        self.bus.unsubscribe("exit", self.leave)
        self.bus.guest = None

    def revive(self) -> None:
        """Start the bus in this process unless that has been done: at its first request, or when it is a worker.

        No thread of the parent's has come along, but what it opened has. The parent's resources are not stopped (a
        connection that both hold would be closed for both); whoever listens to 'start' makes its own. When it fails,
        the request does; the next one tries again.
        """
        self._is_needed.set()
        with self._starting:
            if os.getpid() == self._pid:  # another thread was faster
                return
            self.bus.forget_threads()
            try:
                self._run()
            except BaseException:
                self._pid = 0
                self._is_over, self.bus.guest = False, self
                self.bus.subscribe("exit", self.leave)
                self._arm()
                raise

    def after_fork(self) -> None:
        """In the forked process: forget what is the parent's; start soon if the parent did nothing but wait for it.

        Children of a worker (``multiprocessing``, say) are no workers: only a request starts anything there.
        """
        if self._is_over:
            return
        atexit.unregister(self.bus._clean_exit)
        self._renew()
        self.bus.forget_threads()
        self._arm()
        if self._loader == os.getppid():
            threading.Thread(target=self._start_alone, name="Bus start", daemon=True).start()

    def _start_alone(self) -> None:
        """Start in a worker that has had no request yet; a failure has been logged, and is the next request's."""
        if not owner.wait_for_worker(self._is_needed):
            return  # a request starts it
        try:
            self.revive()
        except Exception:
            return

    def _arm(self) -> None:
        self.bus.subscribe("acquire_thread", self.revive, FIRST)

    def _run(self) -> None:
        self._pid = os.getpid()
        self.bus.start_here()
        # PERF: the thread manager is alone again, and requests need no machinery for several listeners
        self.bus.unsubscribe("acquire_thread", self.revive)
        threading.Thread(target=self._tick, name="Bus main", daemon=True).start()

    def _tick(self) -> None:
        """Publish 'main' until the bus exits; a listener that fails has been logged, and is asked again."""
        while self.bus.state is not states.EXITING:
            try:
                self.bus.wait(states.EXITING, channel="main")
            except Exception:
                continue


def _after_fork(guest: Guest | None) -> None:
    if guest is not None:
        guest.after_fork()
