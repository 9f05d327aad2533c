"""The baton: who polls the sockets, and how a handler that blocks is kept from holding everybody up.

All pool threads are equal. The one that holds the baton polls, parses, and runs ready requests in line: no queue, no
thread switch. It loses the baton in three ways, always under ``mutex``:

1. *Revoked.* A watcher thread looks every ``TICK_S`` whether the holder is still inside the same request as at its last
   look; then it takes the baton away and another thread takes over. So a handler that blocks delays other requests by
   two ticks at most.
2. *Given away by memory.* ``Seat.entering(key)`` knows how long handlers have blocked before, on average, and lets go
   before such a handler starts. So blocking handlers scale to all threads at once. Blocked is wall time less processor
   time; a handler is measured when it was revoked, on one request in ``SAMPLE`` (to find those that block for less than
   a tick, a query of 0.5 ms for example), and on every request once it has been seen to block. Time that the machine
   gave to other processes does not count: only who gave up the processor of its own accord has blocked.
3. *Given away by need*, before a body is read off the network or an answer is streamed.

The proof that a thread still holds the baton is the one item in its seat's ``slot``: ``list.pop`` is atomic, so of the
watcher that revokes and the holder that comes back from its handler exactly one gets it. PERF: an append and a pop cost
50 ns a request; a lock around both costs 180 ns, and reading the clock twice 90 ns.

Law: code below ``mutex`` never blocks and never calls user code.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from resource import RUSAGE_THREAD, getrusage
from threading import Event, Lock
from time import monotonic, sleep, thread_time

from cherrypy.httpd.connection import BUSY, Connection

#: Between two looks of the watcher. PERF: at 2 ms the watcher costs under 1 % of a loaded core.
TICK_S = 0.002
#: A handler that blocks this long on average gives the baton away before it runs. PERF: the hand-over costs 40 µs.
BLOCKS_S = 0.0003
#: One request in so many is measured although its handler was never seen to block; a power of two.
SAMPLE = 32
#: Weight of the newest sample in the average.
NEWEST = 0.3
#: Below this average a handler is forgotten again.
FORGET_S = 0.00005
#: Handlers remembered at most; beyond, the memory starts anew.
MEMORY_SIZE = 4096
#: Ticks without a holder after which all threads count as busy.
STARVED_TICKS = 5
#: Ticks without any request after which the watcher sleeps until it is woken.
QUIET_TICKS = 25

# What is known of the time the running request has taken.
UNTIMED, MEASURED, REVOKED = 0, 1, 2


class Seat:
    """What one pool thread brings along: its proof of holding the baton, and its counters.

    Attributes:
        slot: holds the connection whose request runs in line; empty when the baton is lost or nothing runs.
        serial: requests started, so that the watcher can tell one from the next.
    """

    __slots__ = (
        "average",
        "baton",
        "bytes_in",
        "bytes_out",
        "inside",
        "key",
        "memory",
        "processor_s",
        "returns",
        "serial",
        "since",
        "slot",
        "switches",
        "timed",
    )

    def __init__(self, baton: Baton) -> None:
        self.baton = baton
        self.memory = baton.memory
        self.slot: list[Connection] = []
        self.serial = 0
        self.returns = 0  # of those, requests that were here before and came back from elsewhere
        self.bytes_in = 0
        self.bytes_out = 0
        self.inside = False  # runs a request without the baton
        # the request that runs
        self.key: Hashable = None
        self.average: float | None = None  # as remembered when the handler was entered
        self.timed = UNTIMED
        self.since = 0.0
        self.processor_s = 0.0
        self.switches = 0

    def entering(self, key: Hashable) -> None:
        """Note which handler is about to run; let the baton go first when that handler is known to block."""
        self.key = key
        self.average = average = self.memory.get(key)
        if average is not None:
            self._measure()
            if average >= BLOCKS_S:
                self.baton.give(self)
        elif not self.serial & (SAMPLE - 1):
            self._measure()

    def _measure(self) -> None:
        self.timed = MEASURED
        self.since = monotonic()
        self.processor_s = thread_time()
        self.switches = getrusage(RUSAGE_THREAD).ru_nvcsw

    def learn(self) -> None:
        """Add the run that has just ended to the memory of its handler; nothing if it was not timed."""
        timed, self.timed = self.timed, UNTIMED
        key = self.key
        if key is None or timed == UNTIMED:
            return
        blocked_s = monotonic() - self.since
        if timed == MEASURED:
            blocked_s -= thread_time() - self.processor_s
            if getrusage(RUSAGE_THREAD).ru_nvcsw == self.switches:
                blocked_s = 0.0
        average = self.average or 0.0
        average += NEWEST * (blocked_s - average)
        if average < FORGET_S:
            self.memory.pop(key, None)
            return
        if len(self.memory) >= MEMORY_SIZE:
            self.memory.clear()
        self.memory[key] = average


class Baton:
    """The right to poll, and the thread that watches how long it is used for one request."""

    def __init__(self) -> None:
        self.lock = Lock()  # locked while a thread holds the baton
        self.mutex = Lock()
        self.memory: dict[Hashable, float] = {}
        self.holder: Seat | None = None
        self.asleep = False
        self.over = False
        self.before_handing_over: Callable[[], object] = lambda: None
        self.when_starved: Callable[[], bool] = lambda: False  # True: somebody will take the baton now
        self._alarm = Event()

    def take(self, seat: Seat, patience_s: float = -1) -> bool:
        """Wait for the baton, at most *patience_s* (-1: for ever), and hold it; False if it did not come."""
        if not self.lock.acquire(timeout=patience_s):
            return False
        self.holder = seat
        return True

    def give(self, seat: Seat) -> None:
        """Let another thread poll while *seat* goes on with its request; nothing happens if it was revoked already."""
        with self.mutex:
            if not seat.slot:
                return
            seat.slot.pop().state = BUSY
            seat.inside = True
            self._pass_on()

    def revoke(self, seat: Seat) -> None:
        """Take the baton from *seat*, which is held up inside a request."""
        with self.mutex:
            try:
                connection = seat.slot.pop()
            except IndexError:
                return  # it came back in this very moment
            connection.state = BUSY
            seat.inside = True
            if seat.timed == UNTIMED:
                seat.timed = REVOKED
                seat.since = monotonic() - TICK_S
            self._pass_on()

    def seize(self, patience_s: float) -> bool:
        """Hold the baton without a seat, taken away from who is held up inside a request; False if it did not come."""
        end = monotonic() + patience_s
        while not self.lock.acquire(timeout=TICK_S):
            holder = self.holder
            if holder is not None:
                self.revoke(holder)
            if monotonic() > end:
                return False
        return True

    def release(self) -> None:
        """Let go of the baton outside any request."""
        self.holder = None
        self.lock.release()

    def _pass_on(self) -> None:
        # Perhaps no other thread is free to take the baton now: finished answers must not wait for one.
        self.before_handing_over()
        self.holder = None
        self.lock.release()

    def rouse(self) -> None:
        """Wake the watcher; called by the holder before a request when ``asleep`` says so."""
        self.asleep = False
        self._alarm.set()

    def stop_watching(self) -> None:
        """Let the watcher end."""
        self.over = True
        self.rouse()

    def watch(self) -> None:
        """Body of the watcher thread."""
        seat: Seat | None = None
        serial = -1
        quiet = nobody = 0
        while not self.over:
            sleep(TICK_S)
            holder = self.holder
            if holder is None:
                nobody += 1
                if nobody % STARVED_TICKS == 0 and self.when_starved():
                    nobody = 0
                if nobody > QUIET_TICKS:
                    nobody = 0
                    self._rest()
                continue
            nobody = 0
            if holder is seat and holder.serial == serial and not holder.slot:
                quiet += 1
                if quiet > QUIET_TICKS:
                    quiet = 0
                    self._rest()
                continue
            quiet = 0
            if holder is seat and holder.serial == serial:
                self.revoke(holder)
            seat, serial = holder, holder.serial

    def _rest(self) -> None:
        """Sleep until a holder starts a request; an idle server burns no processor time."""
        self._alarm.clear()
        self.asleep = True
        holder = self.holder
        if self.over or (holder is not None and holder.slot):
            self.asleep = False  # a request started before it could see that it should rouse us
            return
        self._alarm.wait()
