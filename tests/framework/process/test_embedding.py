"""A bus in a process that another server owns."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from cherrypy.process.threads import ThreadManager
from cherrypy.process.wspbus import Bus, ChannelFailures, states


def test_one_call_starts_and_ticks() -> None:
    """'main' is published although nobody blocks; a failing listener does not end that."""
    bus = Bus()
    thrice = threading.Event()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            thrice.set()
        raise ValueError("each time")

    bus.subscribe("main", tick)

    bus.embed()

    assert bus.state is states.STARTED
    assert thrice.wait(10)
    bus.exit()


def test_a_second_call_does_nothing() -> None:
    """Modules of other servers may be loaded twice."""
    bus = Bus()
    starts: list[int] = []
    bus.subscribe("start", lambda: starts.append(1))

    bus.embed()
    bus.embed()
    bus.exit()

    assert starts == [1]


def test_it_can_be_left_and_entered_again() -> None:
    """The listeners of its own go with it."""
    bus = Bus()
    bus.embed()
    bus.exit()
    bus.embed()
    bus.exit()

    assert not bus.listeners["acquire_thread"]
    assert bus.listeners["exit"] == set()


def test_a_bus_that_runs_is_not_embedded_too_late() -> None:
    """Its servers are there already."""
    bus = Bus()
    bus.start()

    with pytest.raises(RuntimeError, match=r"in states.STARTED already. Call embed\(\) instead of start\(\)"):
        bus.embed()

    bus.exit()


def test_a_failing_start_reaches_the_loader() -> None:
    """The other server shows it when it imports the application."""
    bus = Bus()
    bus.subscribe("start", lambda: 1 / 0)

    with pytest.raises(ChannelFailures, match="ZeroDivisionError"):
        bus.embed()


FORKING = """
import os, sys, threading
from cherrypy.process import plugins
from cherrypy.process.wspbus import Bus
bus = Bus()
beat = threading.Event()
starts, stops = [], []
plugins.Monitor(bus, beat.set, frequency=0.01).subscribe()
bus.subscribe('start', lambda: starts.append(os.getpid()))
bus.subscribe('stop', lambda: stops.append(os.getpid()))
bus.subscribe('main', lambda: None)
bus.embed()
parent = os.getpid()
bus._changed.acquire()  # some thread of the parent's holds it at the moment of the fork
child = os.fork()
if child:
    bus._changed.release()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
beat.clear()
bus.publish('acquire_thread')
bus.publish('acquire_thread')
alive = beat.wait(10)
print(starts == [parent, os.getpid()], stops, alive, bus.state, flush=True)
"""


def test_a_forked_worker_starts_anew_with_its_first_request() -> None:
    """It has none of the parent's threads; what the parent opened is not closed under it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING], capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "True [] True states.STARTED\n"


def test_requests_of_the_same_process_start_nothing() -> None:
    """And the thread manager goes on beside."""
    bus = Bus()
    ThreadManager(bus).subscribe()
    starts: list[int] = []
    threads: list[int] = []
    bus.subscribe("start", lambda: starts.append(os.getpid()))
    bus.subscribe("start_thread", threads.append)

    bus.embed()
    bus.publish("acquire_thread")
    bus.exit()

    assert starts == [os.getpid()]
    assert threads == [1]
