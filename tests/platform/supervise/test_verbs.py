"""The verbs that change a running stack without a roll: scale, drain, pause, kill, and who hangs up."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import ControlError
from kirsch.link.frame import encode_frame


def pool(status: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = status["pools"][0]
    return found


def pids(host: Any) -> dict[str, int]:
    return {worker["name"]: worker["pid"] for worker in host.workers() if worker["state"] == "ready"}


def test_scale_up_and_down(host: Any) -> None:
    """Links move, those who stay keep their processes, and the number outlives a roll and the supervisor."""
    host.start(host.state(workers=1, slots=4))
    host.wait_until_ready(1)
    first = pids(host)["web.1"]

    assert host.control.call("scale", pools={"web": 4}) == {"pools": {"web": 4}}

    status = host.wait_until_ready(4)

    assert pids(host)["web.1"] == first
    assert [worker["slots"] for worker in pool(status)["workers"]] == [[1], [2], [3], [4]]
    assert (pool(status)["wanted"], pool(status)["fixed"]) == (4, True)

    host.control.call("scale", pools={"web": 2})
    host.wait_until_ready(2)
    host.control.call("roll")
    host.wait_until_ready(2)
    host.process.kill()
    host.process.wait()
    host.start()
    status = host.wait_until_ready(2)

    assert pool(status)["fixed"]
    assert host.control.call("scale", pools={"web": "auto"}) == {"pools": {"web": 2}}
    assert not pool(host.status())["fixed"]


def test_scale_knows_its_bounds(host: Any) -> None:
    """More than nginx has slots, none at all, and pools that are not there are refused."""
    host.start(host.state(workers=1, slots=2))
    host.wait_until_ready(1)
    for pools, words in (({"web": 3}, "1 to 2"), ({"web": 0}, "1 to 2"), ({"wep": 1}, "there are: web")):
        with pytest.raises(ControlError, match=words):
            host.control.call("scale", pools=pools)

    assert len(host.workers()) == 1


def test_a_scaling_that_fails_changes_nothing(host: Any) -> None:
    """The new worker's code is broken by now: its report comes back, the number stays."""
    folder = host.release("r1")
    host.start(host.state("r1", workers=1, slots=2))
    host.wait_until_ready(1)
    with open(f"{folder}/shop.py", "a") as file:
        file.write("\nimport nothing_at_all\n")
    with pytest.raises(ControlError) as caught:
        host.control.call("scale", pools={"web": 2})
    steps = [step["step"] for step in caught.value.report["steps"]]

    assert "nothing_at_all" in caught.value.report["traceback"]
    assert steps[-1] == "import shop:Root"
    assert caught.value.report["listening"] is None
    assert pool(host.status())["wanted"] == 1
    assert len(host.workers()) == 1


def test_drain_and_undrain(host: Any) -> None:
    """A drained worker loses its slots, finishes what it has, lives on, and gets its slots back."""
    host.start(host.state(slots=4))
    host.wait_until_ready()
    before = pids(host)
    slot = host.workers()[0]["slots"][0]
    done = Path(host.folder, "done")
    slow = threading.Thread(target=host.get, args=(f"/wait?file={done}", slot, 60))
    slow.start()
    host.wait_for(lambda status: pool(status)["workers"][0]["in_flight"] == 1)
    host.control.call("drain", workers=["web.1"])
    status = host.status()
    drained = pool(status)["workers"][0]

    assert (drained["state"], drained["slots"], drained["in_flight"]) == ("drained", [], 1)
    assert drained["running"][0]["line"] == "GET /wait"
    assert status["degraded"] == ["web.1: taken out by the operator"]
    assert {host.get("/", slot=slot)[1].split()[0] for slot in (1, 2, 3, 4)} == {b"web.2"}

    done.touch()
    slow.join()
    host.wait_for(lambda status: pool(status)["workers"][0]["in_flight"] == 0)
    host.control.call("undrain", workers=["web.1"])

    assert pids(host) == before
    assert {host.get("/", slot=slot)[1].split()[0] for slot in (1, 2, 3, 4)} == {b"web.1", b"web.2"}


def test_streams_of_a_drained_worker_end(host: Any) -> None:
    """Events without end would keep it from ever being empty; who asks again comes to another, and it serves later."""
    source = f"""{Path(host.release("r1"), "shop.py").read_text()}
    @cherrypy.expose
    @cherrypy.tools.sse()
    async def events(self):
        yield "first"
        await asyncio.Event().wait()
"""
    host.release("r1", f"import asyncio\n{source}")
    host.start(host.state(slots=2))
    host.wait_until_ready()
    slot = host.workers()[0]["slots"][0]
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(host.paths.slot_socket("web", slot))
        line.sendall(b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n")
        data = b""
        while b"first" not in data:
            data += line.recv(65536)
        host.control.call("drain", workers=["web.1"])
        while not data.endswith(b"0\r\n\r\n"):
            piece = line.recv(65536)
            assert piece, data
            data += piece
    host.wait_for(lambda status: pool(status)["workers"][0]["in_flight"] == 0)
    elsewhere = host.get("/", slot)[1]
    host.control.call("undrain", workers=["web.1"])

    assert elsewhere.startswith(b"web.2")
    assert {host.get("/", slot=slot)[1].split()[0] for slot in (1, 2)} == {b"web.1", b"web.2"}


def test_the_last_worker_is_not_drained(host: Any) -> None:
    """Its requests would have nowhere to go; the verb for that is pause."""
    host.start(host.state())
    host.wait_until_ready()
    host.control.call("drain", workers=["web.1"])
    with pytest.raises(ControlError, match="pause web") as caught:
        host.control.call("drain", workers=["web.2"])

    assert caught.value.kind == "last_worker"
    assert host.get("/")[0] == 200


def test_pause_and_resume(host: Any) -> None:
    """Requests wait while the pool is paused, in order to be answered; too long ones get 503 with Retry-After."""
    host.start(host.state())
    host.wait_until_ready()
    host.control.call("pause", pools=["web"])
    answers: list[tuple[int, bytes]] = []
    waiting = threading.Thread(target=lambda: answers.append(host.get("/echo?value=held")))
    waiting.start()
    status = host.wait_for(lambda status: pool(status)["held"] == 1)

    assert pool(status)["paused"]
    assert answers == []
    assert "paused" in status["degraded"][0]

    host.control.call("resume")
    waiting.join()

    assert answers == [(200, b"echo held")]

    host.control.call("pause", hold_s=0.2)

    assert host.get("/")[0] == 503
    assert pool(host.status())["refused"] == 1


def test_kill_tells_what_is_lost(host: Any) -> None:
    """By name or process id; the answer names what the worker was inside of, and a successor comes."""
    host.start(host.state(workers=1))
    host.wait_until_ready(1)

    def ask() -> None:
        with pytest.raises((ConnectionError, IndexError)):
            host.get("/sleep?s=30")

    slow = threading.Thread(target=ask)
    slow.start()
    host.wait_for(lambda status: pool(status)["workers"][0]["in_flight"] == 1)
    pid = pids(host)["web.1"]
    told = host.control.call("kill", workers=[str(pid)])
    slow.join()
    host.wait_for(lambda status: pids(host).get("web.1") not in {None, pid})

    assert told["workers"][0]["pid"] == pid
    assert told["workers"][0]["inside"][0].startswith("GET /sleep")

    with pytest.raises(ControlError, match="there is no worker"):
        host.control.call("kill", workers=["web.7"])
    with pytest.raises(ControlError, match="allowed: TERM, KILL"):
        host.control.call("kill", workers=["web.1"], signal="HUP")


def test_who_hangs_up_calls_a_scaling_off(host: Any) -> None:
    """The workers that were booting go, the number stays, nothing is half done."""
    folder = host.release("r1")
    host.start(host.state("r1", workers=1, slots=3))
    host.wait_until_ready(1)
    with open(f"{folder}/shop.py", "a") as file:
        file.write("\ntime.sleep(60)\n")
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(host.paths.control_socket)
        line.sendall(encode_frame({"verb": "scale", "args": {"pools": {"web": 3}}}))
        host.wait_for(lambda status: len(pool(status)["workers"]) == 3)
    status = host.wait_for(lambda status: len(pool(status)["workers"]) == 1)

    assert pool(status)["wanted"] == 1
    assert host.get("/")[0] == 200


def test_bounds_are_kept_by_the_kernel(host: Any) -> None:
    """Priority, one processor each, files, core dumps."""
    from kirsch.spec import Bytes
    from kirsch.spec.pool import Limits

    limits = Limits(open_files=512, core=Bytes(0))
    host.start(host.state(nice=5, pin=True, limits=limits))
    host.wait_until_ready()
    present = sorted(os.sched_getaffinity(0))
    for seat, pid in enumerate(pids(host).values()):
        with open(f"/proc/{pid}/limits") as file:
            told = {line[:25].strip(): line[26:].split()[0] for line in file}

        assert os.getpriority(os.PRIO_PROCESS, pid) == 5
        assert os.sched_getaffinity(pid) == {present[seat % len(present)]}
        assert (told["Max open files"], told["Max core file size"]) == ("512", "0")


def test_a_worker_that_is_told_to_go_is_replaced(host: Any) -> None:
    """TERM has it drain and be replaced."""
    host.start(host.state(workers=1))
    host.wait_until_ready(1)
    pid = pids(host)["web.1"]
    host.control.call("kill", workers=["web.1"], signal="SIGTERM")
    host.wait_for(lambda status: pids(host).get("web.1") not in {None, pid})

    assert host.get("/")[0] == 200
