"""Workers that are replaced because they had enough, are stuck, or are too few."""

from __future__ import annotations

import threading
from typing import Any

from kirsch.spec.pool import Scaling


def pids(host: Any) -> dict[str, int]:
    return {worker["name"]: worker["pid"] for worker in host.workers() if worker["state"] == "ready"}


def events(host: Any, kind: str) -> list[str]:
    with open(f"{host.paths.log_dir}/supervisor.log") as file:
        return [line for line in file if f" {kind} " in line]


def test_recycling_by_requests_is_one_at_a_time(host: Any) -> None:
    """Both are over the limit; the second goes when the first one's successor serves."""
    host.start(host.state(slots=2, max_requests=5))
    host.wait_until_ready()
    before = pids(host)
    for _ in range(8):
        host.get("/", slot=1)
        host.get("/", slot=2)
    most: list[int] = []

    def are_both_new(status: dict[str, Any]) -> bool:
        most.append(sum(worker["state"] == "booting" for worker in status["pools"][0]["workers"]))
        now = {worker["name"]: worker["pid"] for worker in status["pools"][0]["workers"] if worker["state"] == "ready"}
        return len(now) == 2 and not set(now.values()) & set(before.values())

    status = host.wait_for(are_both_new)

    assert max(most) == 1
    assert status["pools"][0]["restarts"] == {}
    assert len(events(host, "recycle")) == 2


def test_recycling_by_age(host: Any) -> None:
    """A worker that is older than max_lifetime_s is replaced, its successor first."""
    host.start(host.state(workers=1, max_lifetime_s=1.5))
    host.wait_until_ready(1)
    before = pids(host)["web.1"]
    status = host.wait_for(lambda status: pids(host).get("web.1") not in {None, before})

    assert status["pools"][0]["restarts"] == {}
    assert "over max_lifetime_s" in events(host, "recycle")[0]


def test_a_stuck_request_is_told_and_its_worker_replaced(host: Any) -> None:
    """The line in the application's code stands in the log; the successor serves while the old one waits."""
    host.start(host.state(workers=1, request_deadline_s=1.0, drain_s=1.0, quarantine_s=1.0))
    host.wait_until_ready(1)
    before = pids(host)["web.1"]
    slow = threading.Thread(target=lambda: _swallow(host))
    slow.start()
    host.wait_for(lambda status: pids(host).get("web.1") not in {None, before})
    slow.join()
    told = events(host, "stuck")[0]

    assert "beyond request_deadline_s=1: GET /sleep" in told
    assert "shop.py" in told
    assert "in sleep" in told
    assert host.get("/")[0] == 200


def _swallow(host: Any) -> None:
    try:
        host.get("/sleep?s=120", timeout_s=60)
    except (ConnectionError, IndexError):
        return


def test_a_busy_pool_grows_and_a_quiet_one_shrinks(host: Any) -> None:
    """Every thread is taken: one more worker comes, with slots; then it goes again. nginx has no part in it."""
    scaling = Scaling(up_after_s=0.5, down_after_s=1.5)
    host.start(host.state(workers=1, slots=2, threads=1, scale=scaling))
    host.wait_until_ready(1)
    threads = [threading.Thread(target=host.get, args=("/sleep?s=4",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    status = host.wait_for(lambda status: [w["slots"] for w in status["pools"][0]["workers"]] == [[1], [2]])

    assert [worker["state"] for worker in status["pools"][0]["workers"]] == ["ready", "ready"]
    assert not status["pools"][0]["fixed"]

    for thread in threads:
        thread.join()
    host.wait_for(lambda status: [worker["name"] for worker in status["pools"][0]["workers"]] == ["web.1"])

    assert len(events(host, "autoscale")) == 2


def test_a_crash_loop_parks_its_seat(host: Any) -> None:
    """After six quick deaths it is tried once a minute; the status says that the pool is degraded, and why."""
    folder = host.release("r1")
    host.start(host.state("r1", slots=2))
    host.wait_until_ready()
    with open(f"{folder}/shop.py", "a") as file:
        file.write("\nif os.environ['KIRSCH_WORKER'] == 'web.2': os._exit(5)\n")
    host.control.call("kill", workers=["web.2"])
    status = host.wait_for(lambda status: status["pools"][0]["workers"][1]["state"] == "parked", timeout_s=90)

    assert "again and again" in status["degraded"][0]
    assert status["pools"][0]["workers"][1]["report"]["exit_status"] == 5
    assert host.get("/", slot=2)[0] == 200
