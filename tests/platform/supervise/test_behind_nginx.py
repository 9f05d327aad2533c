"""The promise: behind a real nginx nothing is lost, but what is inside a worker when it is killed.

Eight keep-alive clients POST without pause and check every body.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kirsch.errors import ControlError, NginxError
from kirsch.nginx.binary import find_nginx

pytestmark = pytest.mark.nginx

CLIENTS = 8


@pytest.fixture(scope="module", autouse=True)
def _nginx() -> None:
    try:
        find_nginx()
    except NginxError as error:
        pytest.skip(str(error))


@pytest.fixture
def post(host: Any, loadgen: ModuleType) -> Any:
    """Clients that POST to the stack through nginx; a connection that nginx closes under them is a failure, too."""

    def aim(client: int, index: int) -> Any:
        value = f"{client}-{index}"
        return loadgen.Shot(
            "POST",
            "/echo",
            f"value={value}".encode(),
            200,
            f"echo {value}".encode(),
            "application/x-www-form-urlencoded",
        )

    return loadgen.Load(("127.0.0.1", host.port), aim, clients=CLIENTS, note_header="x-worker", stale_is_failure=True)


def upstream_failures(host: Any) -> list[dict[str, str]]:
    """What nginx's log says of the requests that it answered itself."""
    time.sleep(1.1)  # nginx flushes its log once a second
    lines = Path(host.paths.nginx_access_log).read_text().splitlines()
    return [entry for line in lines if (entry := json.loads(line))["status"].startswith("5")]


def test_rolls_lose_nothing(host: Any, post: Any, loadgen: ModuleType) -> None:
    """Three rolls, one of them to broken code, under load: every answer is right."""
    host.start(host.state("r1", slots=4), nginx=True)
    host.wait_until_ready(nginx=True)
    host.release("broken", "import nothing_at_all\n")
    with loadgen.running(post):
        post.wait_for(200)
        for release in ("r2", "broken", "r3"):
            host.write(host.state(release, slots=4))
            if release == "broken":
                with pytest.raises(ControlError):
                    host.control.call("roll")
            else:
                host.control.call("roll")
            post.wait_for(300)
        host.wait_until_ready(nginx=True)

    assert post.tally.failed == 0, str(post.tally)
    assert post.tally.good > 1000
    assert {value.partition(" ")[2] for value in post.tally.headers_seen} == {"r1", "r2", "r3"}


def test_scaling_and_reconfiguration_lose_nothing(host: Any, post: Any, loadgen: ModuleType) -> None:
    """More workers, fewer workers, more slots (a reload of nginx): every answer is right."""
    host.start(host.state(workers=1, slots=2), nginx=True)
    host.wait_until_ready(1, nginx=True)
    with loadgen.running(post):
        post.wait_for(100)
        for workers, slots in ((3, 4), (1, 4), (2, 2)):
            host.write(host.state(workers=workers, slots=slots))
            host.control.call("apply")
            post.wait_for(200)
    status = host.wait_until_ready(2, nginx=True)

    # nginx may close idle client connections when it reloads; that is the one thing that is not ours
    assert post.tally.failed == post.tally.failures["closed"] + post.tally.failures["reset"], str(post.tally)
    assert post.tally.failed <= 2 * CLIENTS
    assert int(status["nginx"]["generation"]) > 1


def test_a_killed_worker_costs_only_what_is_inside_it(host: Any, post: Any, loadgen: ModuleType) -> None:
    """After SIGKILL each failure is a request that had been sent to that worker; all others go elsewhere."""
    host.start(host.state(slots=4), nginx=True)
    host.wait_until_ready(nginx=True)
    kills = 3
    with loadgen.running(post):
        post.wait_for(200)
        for kill in range(kills):
            workers = host.wait_until_ready(nginx=True)["pools"][0]["workers"]
            os.kill(workers[kill % 2]["pid"], signal.SIGKILL)
            post.wait_for(300)
        status = host.wait_until_ready(nginx=True)
    failures = upstream_failures(host)

    # A client has one request under way, and nginx, which knows slots and not workers, keeps it away from a slot after
    # its first failure: on a busy machine, where dying takes a while, it may meet the dying worker once under each.
    slots_of_a_worker = 4 // 2
    assert post.tally.failed <= kills * CLIENTS * slots_of_a_worker, str(post.tally)
    assert set(post.tally.failures) <= {"status 502"}
    assert len(failures) == post.tally.failed
    for entry in failures:
        # its last try was connected, so the request was handed over: nobody was sent away for want of a worker
        assert entry["connect_s"].split(", ")[-1] != "-"
    assert sum(worker["restarts"] for worker in status["pools"][0]["workers"]) == kills


def test_a_replacement_gets_its_share(host: Any, post: Any, loadgen: ModuleType) -> None:
    """The worker that lent its socket to the dead one's slots does not keep their connections; two times over."""

    def shares() -> list[int]:
        before = [worker["requests"] for worker in host.wait_until_ready(nginx=True)["pools"][0]["workers"]]
        post.wait_for(300)
        return [worker["requests"] - count for worker, count in zip(host.workers(), before, strict=True)]

    host.start(host.state(slots=4), nginx=True)
    host.wait_until_ready(nginx=True)
    with loadgen.running(post):
        post.wait_for(200)
        for kill in range(2):
            os.kill(host.workers()[kill]["pid"], signal.SIGKILL)
            host.wait_for(lambda status, killed=kill: status["pools"][0]["workers"][killed]["restarts"] == 1)
            # nginx tries the dead one's slots again when their mark is a second old
            deadline = time.monotonic() + 10
            while min(done := shares()) < 0.2 * sum(done):
                assert time.monotonic() < deadline, done


def test_idempotent_requests_survive_a_kill(host: Any, loadgen: ModuleType) -> None:
    """Another slot is asked for a GET whose worker died, so its client sees nothing at all."""
    host.start(host.state(slots=4), nginx=True)
    host.wait_until_ready(nginx=True)
    load = loadgen.Load(
        ("127.0.0.1", host.port), lambda n, i: loadgen.Shot("GET", f"/echo?value={i}", b"", 200, f"echo {i}".encode())
    )
    with loadgen.running(load):
        load.wait_for(200)
        os.kill(host.workers()[0]["pid"], signal.SIGKILL)
        load.wait_for(500)

    assert load.tally.failed == 0, str(load.tally)


def test_a_killed_supervisor_costs_nothing(host: Any, post: Any, loadgen: ModuleType) -> None:
    """Workers and nginx go on; the next supervisor adopts them, and a roll of it loses nothing either."""
    host.start(host.state("r1", slots=4), nginx=True)
    nginx = host.wait_until_ready(nginx=True)["nginx"]["pid"]
    with loadgen.running(post):
        post.wait_for(200)
        host.process.kill()
        host.process.wait()
        post.wait_for(300)
        host.start(nginx=True)
        assert host.wait_until_ready(nginx=True)["nginx"]["pid"] == nginx
        host.write(host.state("r2", slots=4))
        host.control.call("roll")
        post.wait_for(300)

    assert post.tally.failed == 0, str(post.tally)


def test_an_empty_pool_holds_its_requests(host: Any, post: Any, loadgen: ModuleType) -> None:
    """Both workers are killed at once: what is sent then waits for their successors."""
    host.start(host.state(slots=2), nginx=True)
    host.wait_until_ready(nginx=True)
    for worker in host.workers():
        os.kill(worker["pid"], signal.SIGKILL)
    # the links follow within milliseconds; nginx refuses what comes before
    host.wait_for(lambda status: all(worker["restarts"] == 1 for worker in status["pools"][0]["workers"]))
    with loadgen.running(post):
        post.wait_for(200)

    assert post.tally.failed == 0, str(post.tally)


def test_a_killed_nginx_comes_back(host: Any) -> None:
    """It is started again, and serves the same configuration."""
    host.start(host.state(workers=1), nginx=True)
    before = host.wait_until_ready(1, nginx=True)["nginx"]
    os.killpg(os.getpgid(before["pid"]), signal.SIGKILL)
    after = host.wait_for(lambda status: status["nginx"]["pid"] not in {None, before["pid"]})["nginx"]
    with socket.create_connection(("127.0.0.1", host.port), 5) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = line.recv(65536)

    assert after["generation"] == before["generation"]
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_taken_port_is_told(host: Any) -> None:
    """The status has nginx's words, since what answers at the address is somebody else."""
    with socket.create_server(("127.0.0.1", host.port)):
        host.start(host.state(workers=1), nginx=True)
        status = host.wait_for(lambda status: status["nginx"]["problem"])

    assert status["nginx"]["pid"] is None
    assert "[emerg] bind()" in status["nginx"]["problem"]


def test_stopping_finishes_what_runs_and_leaves_nothing(host: Any, loadgen: ModuleType) -> None:
    """A slow request gets its answer; then nginx, workers and supervisor are gone."""
    host.start(host.state(workers=1), nginx=True)
    host.wait_until_ready(1, nginx=True)
    client = loadgen.Client(("127.0.0.1", host.port))
    answers: list[bytes] = []
    shot = loadgen.Shot("GET", "/sleep?s=1.5", expected_body=b"slept")
    thread = threading.Thread(target=lambda: answers.append(client.fire(shot)[1]))
    thread.start()
    host.wait_for(lambda status: status["pools"][0]["workers"][0]["in_flight"] == 1)

    assert host.stop() == 0

    thread.join()

    assert answers == [b"slept"]
    assert host.leftovers() == []
