"""The verbs for a running stack, typed at one that runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

Kirsch = Callable[..., tuple[int, str]]


def test_a_day_of_an_operator(live: Kirsch, host: Any) -> None:
    """Every verb does what it says, and says what it did."""
    pids = {worker["name"]: worker["pid"] for worker in host.workers()}
    said = {
        "workers": live("workers", "web.1"),
        "json": live("workers", "--json"),
        "scale": live("scale", "web=3"),
        "too many": live("scale", "web=4"),
        "drain": live("drain", "web.1"),
        "undrain": live("undrain", "web.1"),
        "pause": live("pause"),
        "resume": live("resume", "web"),
        "kill": live("kill", "web.2"),
        "roll": live("roll"),
        "upgrade": live("upgrade"),
        "top": live("top", "--once", "--interval-s", "0.2"),
    }

    assert {verb: status for verb, (status, _) in said.items() if status} == {"too many": 1}
    assert str(pids["web.1"]) in said["workers"][1]
    assert "web.2" not in said["workers"][1]
    assert [one["name"] for one in msgspec.json.decode(said["json"][1])] == ["web.1", "web.2"]
    assert said["scale"][1].endswith("web: 3 workers\n")
    assert "allowed: 1 to 3" in said["too many"][1]
    assert said["drain"][1] == "web.1: empty, out of service\n"
    assert said["kill"][1] == f"web.2 (process {pids['web.2']}): KILL\n"
    assert "web.1: ready after" in said["roll"][1]
    assert "workers adopted" in said["upgrade"][1]
    assert "req/s" in said["top"][1]


def test_drain_says_what_it_waits_for(live: Kirsch, host: Any) -> None:
    """Exit status 1 when the time is over; the worker is out of service all the same."""
    done = Path(host.folder, "done")
    slow = threading.Thread(target=host.get, args=(f"/wait?file={done}", host.workers()[0]["slots"][0], 60))
    slow.start()
    try:
        host.wait_for(lambda status: status["pools"][0]["workers"][0]["in_flight"] == 1)
        status, said = live("drain", "web.1", "--timeout-s", "0.5")
    finally:
        done.touch()
        slow.join()

    assert status == 1
    assert "web.1: waits for GET /wait in r1/shop.py: Root.wait for" in said
    assert "not empty after 0.5 s" in said


def test_why_a_worker_failed(live: Kirsch, host: Any) -> None:
    """The table has its state; below it stand its message, its boot step by step, and how it ended."""
    folder = host.release("r1")
    with open(f"{folder}/shop.py", "a") as file:
        file.write("\nif os.environ['KIRSCH_WORKER'] == 'web.2': raise RuntimeError('no database')\n")
    live("kill", "web.2")
    host.wait_for(lambda status: (status["pools"][0]["workers"][1]["report"] or {}).get("traceback"))
    _, said = live("workers", "web")

    assert "RuntimeError: no database" in said
    assert "exit status 3" in said
    assert "import shop:Root" in said
