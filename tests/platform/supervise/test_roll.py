"""Rolls that end otherwise than well, late: the old workers have everything back."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import ControlError
from kirsch.link.frame import encode_frame
from kirsch.spec.pool import Rolling

DIES_LATER = """
import threading, time
def die():
    time.sleep(0.7)
    os._exit(7)
if os.environ["KIRSCH_WORKER"] == "web.2":
    threading.Thread(target=die).start()
"""
FAILS_IN_THE_LAST_SEAT = """
if os.environ["KIRSCH_WORKER"] == "web.4":
    raise RuntimeError("no seat four")
"""


def pids(host: Any) -> dict[str, int]:
    return {worker["name"]: worker["pid"] for worker in host.workers() if worker["state"] == "ready"}


def spoil(host: Any, release: str, source: str) -> None:
    """Write a release whose module ends with *source*."""
    folder = host.release(release)
    with open(f"{folder}/shop.py", "a") as file:
        file.write(source)


def test_a_release_that_dies_within_the_bake_is_taken_back(host: Any) -> None:
    """The same old processes serve, without a boot; the report says how the new one ended."""
    rolling = Rolling(bake_s=20)
    host.start(host.state("r1", roll=rolling))
    host.wait_until_ready()
    before = pids(host)
    spoil(host, "r2", DIES_LATER)
    host.write(host.state("r2", roll=rolling))
    with pytest.raises(ControlError, match="did not last") as caught:
        host.control.call("roll")
    status = host.wait_until_ready()

    assert caught.value.report["exit_status"] == 7
    assert caught.value.report["worker"] == "web.2"
    assert pids(host) == before
    assert (status["release"], status["generation"]) == ("r1", 1)
    assert "release r2 did not come up" in status["degraded"][0]
    assert b"r1" in host.get("/")[1]


def test_a_boot_that_fails_late_is_taken_back(host: Any) -> None:
    """Three have their slots already when the fourth does not come up; all go back."""
    rolling = Rolling(parallel=1, bake_s=0)
    host.start(host.state("r1", workers=4, roll=rolling))
    host.wait_until_ready(4)
    before = pids(host)
    spoil(host, "r2", FAILS_IN_THE_LAST_SEAT)
    host.write(host.state("r2", workers=4, roll=rolling))
    with pytest.raises(ControlError, match="web") as caught:
        host.control.call("roll")
    host.wait_until_ready(4)

    assert "no seat four" in caught.value.report["traceback"]
    assert pids(host) == before


def test_a_short_of_memory_pool_goes_back_by_booting(host: Any) -> None:
    """With min_ready old workers end before their successors boot; going back starts the old release anew."""
    rolling = Rolling(parallel=1, min_ready=2, bake_s=0)
    host.start(host.state("r1", workers=4, roll=rolling))
    host.wait_until_ready(4)
    before = pids(host)
    spoil(host, "r2", FAILS_IN_THE_LAST_SEAT)
    host.write(host.state("r2", workers=4, roll=rolling))
    seen: list[int] = []

    def watch() -> None:
        for message in host.control.stream("roll"):
            if message.get("event", {}).get("kind") == "booting":
                seen.append(len([worker for worker in host.workers() if worker["pid"]]))

    with pytest.raises(ControlError, match="web"):
        watch()
    host.wait_until_ready(4)

    assert max(seen) <= 5
    assert {worker["release"] for worker in host.workers()} == {"r1"}
    assert pids(host) != before


def test_batches_keep_everybody_serving(host: Any) -> None:
    """One at a time: there is never a slot without a worker, and only one boots at any moment."""
    rolling = Rolling(parallel=1, bake_s=0)
    host.start(host.state("r1", workers=3, roll=rolling))
    host.wait_until_ready(3)
    host.write(host.state("r2", workers=3, roll=rolling))
    kinds = [
        (message["event"]["kind"], message["event"].get("worker"))
        for message in host.control.stream("roll")
        if message.get("event", {}).get("kind") in {"booting", "ready"}
    ]

    assert kinds == [(kind, f"web.{seat}") for seat in (1, 2, 3) for kind in ("booting", "ready")]
    assert len(pids(host)) == 3


def test_who_hangs_up_calls_the_roll_off(host: Any) -> None:
    """In the middle of the bake: the old workers have everything back, the new ones go."""
    rolling = Rolling(bake_s=60)
    host.start(host.state("r1", roll=rolling))
    host.wait_until_ready()
    before = pids(host)
    host.write(host.state("r2", roll=rolling))
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(host.paths.control_socket)
        line.sendall(encode_frame({"verb": "roll", "args": {}}))
        host.wait_for(lambda status: sum(w["state"] == "standby" for w in status["pools"][0]["workers"]) == 2)

        assert {worker["release"] for worker in host.workers() if worker["state"] == "ready"} == {"r2"}
    status = host.wait_until_ready()

    assert pids(host) == before
    assert not status["rolling"]
    assert "called off" in status["degraded"][0]


def test_a_detached_roll_goes_on(host: Any) -> None:
    """Nobody waits for it."""
    host.start(host.state("r1"))
    host.wait_until_ready()
    host.write(host.state("r2"))

    assert host.control.call("roll", detach=True) == {"started": True}

    status = host.wait_for(lambda status: status["generation"] == 2)

    assert status["release"] == "r2"


def test_a_standby_generation_comes_back_without_a_boot(host: Any) -> None:
    """Rolled to r2 and back: the processes of r1 serve again; then those of r2 stand by."""
    rolling = Rolling(bake_s=0, standby=True)
    host.start(host.state("r1", roll=rolling))
    host.wait_until_ready()
    first = pids(host)
    host.write(host.state("r2", roll=rolling))
    host.control.call("roll")
    second = pids(host)
    states = sorted(worker["state"] for worker in host.workers())
    host.write(host.state("r1", roll=rolling))
    kinds = [m["event"]["kind"] for m in host.control.stream("roll") if "event" in m]

    assert states == ["ready", "ready", "standby", "standby"]
    assert "booting" not in kinds
    assert pids(host) == first
    assert {worker["pid"] for worker in host.workers() if worker["state"] == "standby"} == set(second.values())
    assert host.get("/")[1].split()[1] == b"r1"


def test_one_that_does_not_drain_is_set_aside_and_named(host: Any) -> None:
    """The roll does not wait for it, the next one neither; what it is inside of is told; it is killed at last."""
    keys: dict[str, Any] = {"drain_s": 0.5, "quarantine_s": 4.0}
    host.start(host.state("r1", workers=1, **keys))
    host.wait_until_ready(1)
    pid = pids(host)["web.1"]

    def ask() -> None:
        with pytest.raises((ConnectionError, IndexError)):
            host.get("/sleep?s=60", timeout_s=60)

    slow = threading.Thread(target=ask)
    slow.start()
    host.wait_for(lambda status: status["pools"][0]["workers"][0]["in_flight"] == 1)
    host.control.call("roll")
    status = host.wait_for(lambda status: any("does not drain" in why for why in status["degraded"]))
    host.control.call("roll")
    host.wait_until_ready(1)
    slow.join()

    name = "r1/shop.py: Root.sleep"

    assert f"web.1 (process {pid}) does not drain; it waits for GET /sleep in {name} for" in status["degraded"][0]
    assert [worker["state"] for worker in status["pools"][0]["workers"]] == ["ready", "quarantined"]
    assert "quarantined" in Path(host.paths.log_dir, "supervisor.log").read_text()


def test_the_end_of_everything_calls_a_roll_off(host: Any) -> None:
    """Stopped in the middle of a bake: nothing of either generation is left."""
    rolling = Rolling(bake_s=60)
    host.start(host.state("r1", roll=rolling))
    host.wait_until_ready()
    host.write(host.state("r2", roll=rolling))
    host.control.call("roll", detach=True)
    host.wait_for(lambda status: sum(w["state"] == "standby" for w in status["pools"][0]["workers"]) == 2)

    assert host.stop() == 0
    assert host.leftovers() == []
    assert os.listdir(host.paths.run) == ["stack.json"]


def test_an_end_that_is_waited_for_too_long_is_in_good_order_all_the_same(host: Any) -> None:
    """Told a second time a worker leaves with its request inside: its bus stops, nobody has to kill it."""
    folder = host.release("r1")
    with open(f"{folder}/shop.py", "a") as file:
        file.write(
            "\ncherrypy.engine.subscribe('exit', lambda: open(os.path.dirname(__file__) + '/exited', 'w').close())\n"
        )
    host.start(host.state("r1", workers=1, drain_s=30.0))
    host.wait_until_ready(1)

    def ask() -> None:
        with pytest.raises((ConnectionError, IndexError)):
            host.get("/sleep?s=60", timeout_s=60)

    slow = threading.Thread(target=ask)
    slow.start()
    host.wait_for(lambda status: status["pools"][0]["workers"][0]["in_flight"] == 1)

    assert host.stop() == 0

    slow.join()
    log = Path(host.paths.log_dir, "supervisor.log").read_text()

    assert Path(folder, "exited").exists()
    assert "killed worker=" not in log
