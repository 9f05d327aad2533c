"""A bus in a process that another server owns."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from cherrypy.process import owner, plugins
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

    assert not bus.listeners.get("acquire_thread")
    assert bus.listeners["exit"] == set()


def test_a_bus_that_runs_is_not_embedded_too_late() -> None:
    """Its servers are there already, and would keep the process from ending: it exits."""
    bus = Bus()
    stops: list[int] = []
    bus.subscribe("stop", lambda: stops.append(1))
    bus.start()

    with pytest.raises(RuntimeError, match=r"in states.STARTED already. Call it instead of start\(\)"):
        bus.embed()

    assert bus.state is states.EXITING
    assert stops == [1]


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


LOADING = """
import os, sys, threading
from cherrypy.process import owner
from cherrypy.process.wspbus import Bus
bus = Bus()
said = []
started = threading.Event()
bus.subscribe('start', lambda: (said.append('start'), {fails}, started.set()))
bus.subscribe('stop', lambda: said.append('stop'))
owner.forks_later = lambda: True
owner.PATIENCE_S = {patience_s}
bus.embed()
bus.embed()
bus.start()
loaded = [list(said), str(bus.state)]
child = os.fork()
if child:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(loaded, said, bus.state, flush=True)
    sys.exit(status)
{worker}
"""


def load(worker: str, fails: str = "None", patience_s: float = 3600) -> subprocess.CompletedProcess[str]:
    """Load a site where workers are forked from, and fork one, which runs *worker*."""
    program = LOADING.format(worker=worker, fails=fails, patience_s=patience_s)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done


def test_where_workers_are_forked_from_nothing_starts() -> None:
    """Neither by a second call nor by start(); a worker starts without a request, and stops at its end."""
    done = load("started.wait(20); import atexit; atexit.register(lambda: print(said, flush=True))", patience_s=0)

    assert done.stdout.splitlines() == ["['start']", "[[], 'states.STOPPED'] [] states.STOPPED"]


def test_a_worker_without_a_life_ends_without_one() -> None:
    """One that ends before it began has nothing to stop."""
    done = load("import atexit; atexit.register(lambda: print(said, bus.state, flush=True))")

    assert done.stdout.splitlines()[0] == "[] states.STOPPED"


def test_a_request_does_not_wait_for_the_worker_to_be_ready() -> None:
    """It needs the engine now; and once started, requests are not looked at any more."""
    done = load("bus.publish('acquire_thread'); print(said, bus.state, bus.listeners['acquire_thread'], flush=True)")

    assert done.stdout.splitlines()[0] == "['start'] states.STARTED set()"


def test_a_start_that_fails_is_tried_by_the_next_request() -> None:
    """Each of them hears why; the bus is that of an embedded site all along."""
    worker = """
from cherrypy.process.wspbus import ChannelFailures
for _ in range(3):
    try:
        bus.publish('acquire_thread')
    except ChannelFailures as failure:
        print('failed', bus.guest is not None)
print(bus.state, said, flush=True)
"""
    done = load(worker, fails="1 / 0 if len(said) < 4 else None")

    assert done.stdout.splitlines()[:3] == [
        "failed True",
        "failed True",
        "states.STARTED ['start', 'stop', 'start', 'stop', 'start']",
    ]


def test_a_start_listener_may_send_a_request() -> None:
    """To warm a cache: it finds the engine starting, and does not wait for itself."""
    done = load("bus.publish('acquire_thread'); print(said, flush=True)", fails="bus.publish('acquire_thread')")

    assert done.stdout.splitlines()[0] == "['start']"


def test_children_of_a_worker_are_no_workers() -> None:
    """``multiprocessing`` forks, too."""
    worker = """
bus.publish('acquire_thread')
print(said, flush=True)
if not os.fork():
    print(bus.state, [one.name for one in threading.enumerate()], flush=True)
    sys.exit()
os.wait()
"""
    done = load(worker)

    assert done.stdout.splitlines()[:2] == ["['start']", "states.STOPPED ['MainThread']"]


def test_what_another_server_owns_is_refused() -> None:
    """A second start and a restart are said in the log, block() and a daemon are errors, signals stay as they are."""
    bus = Bus()
    said: list[tuple[str, int]] = []
    bus.subscribe("log", lambda msg, level: said.append((msg, level)))
    bus.embed()
    bus.start()
    bus.restart()
    signals = plugins.SignalHandler(bus)
    signals.subscribe()

    assert bus.state is states.STARTED
    assert [msg for msg, level in said if level >= 30] == [
        "start() does nothing after embed(), which starts the bus where it is needed.",
        "The process is not restarted: the server that owns it has to do that.",
    ]
    assert signals._previous_handlers == {}
    with pytest.raises(RuntimeError, match="Leave it out"):
        bus.block()
    with pytest.raises(RuntimeError, match="gunicorn --daemon"):
        plugins.Daemonizer(bus).start()
    bus.exit()


def test_uwsgi_ends_a_worker_without_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --skip-atexit-teardown its own hook is all there is; once is enough."""
    ends: list[Any] = []
    monkeypatch.setattr(owner, "call_at_end", ends.append)
    bus = Bus()
    stops: list[int] = []
    bus.subscribe("stop", lambda: stops.append(1))
    bus.embed()
    ends[0]()
    ends[0]()

    assert stops == [1]
