"""The thread manager."""

from __future__ import annotations

import threading

import pytest

from cherrypy.process.threads import ThreadManager
from cherrypy.process.wspbus import Bus


def test_the_channels_exist_from_then_on() -> None:
    """For plugins that have methods of these names."""
    bus = Bus()

    ThreadManager(bus)

    assert {"acquire_thread", "start_thread", "release_thread", "stop_thread"} <= set(bus.listeners)


@pytest.mark.parametrize("end", ["stop", "graceful"])
def test_every_thread_is_announced_once_and_released_at_the_end(end: str) -> None:
    """By its index, from 1."""
    bus = Bus()
    manager = ThreadManager(bus)
    manager.subscribe()
    seen: list[tuple[str, int]] = []
    bus.subscribe("start_thread", lambda index: seen.append(("start", index)))
    bus.subscribe("stop_thread", lambda index: seen.append(("stop", index)))

    bus.publish("acquire_thread")
    bus.publish("acquire_thread")
    other = threading.Thread(target=bus.publish, args=("acquire_thread",))
    # Alive together: an ident may be given again once its thread is gone.
    other.start()
    other.join(5)
    bus.publish(end)

    assert seen == [("start", 1), ("start", 2), ("stop", 1), ("stop", 2)]
    assert manager.threads == {}


def test_a_thread_may_be_released() -> None:
    """Before the end of all."""
    bus = Bus()
    manager = ThreadManager(bus)
    manager.subscribe()
    stopped: list[int] = []
    bus.subscribe("stop_thread", stopped.append)

    bus.publish("acquire_thread")
    bus.publish("release_thread")
    bus.publish("release_thread")

    assert stopped == [1]
