"""A supervisor with real workers, without nginx: births, deaths, rolls, adoption, the end."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import ControlError


def pids(host: Any) -> dict[str, int]:
    return {worker["name"]: worker["pid"] for worker in host.workers() if worker["state"] == "ready"}


def test_a_stack_comes_up_and_goes_down(host: Any) -> None:
    """Both workers serve behind all slots; stopping ends every process and takes the sockets away."""
    process = host.start(host.state(slots=5))
    status = host.wait_until_ready()

    assert [worker["name"] for worker in status["pools"][0]["workers"]] == ["web.1", "web.2"]
    assert sorted(slot for worker in status["pools"][0]["workers"] for slot in worker["slots"]) == [1, 2, 3, 4, 5]
    assert status["degraded"] == []
    assert host.get("/", slot=5)[0] == 200

    workers = pids(host)

    assert host.stop() == 0
    assert process.poll() == 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers.values())
    assert os.listdir(host.paths.run) == ["stack.json"]


def test_sockets_are_for_nobody_else(host: Any) -> None:
    """The control socket and the workers' sockets cannot be connected to by other users."""
    host.start(host.state(workers=1))
    status = host.wait_until_ready(1)
    socket = f"{host.paths.workers}/web.1.{status['pools'][0]['workers'][0]['pid']}.sock"

    assert stat.S_IMODE(os.stat(host.paths.control_socket).st_mode) == 0o600
    assert not stat.S_IMODE(os.stat(socket).st_mode) & 0o007
    assert not stat.S_IMODE(os.stat(host.paths.run).st_mode) & 0o006


def test_a_killed_worker_is_replaced(host: Any) -> None:
    """Its slots go to the sibling at once, a new worker comes, and the report says how the old one ended."""
    host.start(host.state())
    host.wait_until_ready()
    before = pids(host)
    os.kill(before["web.1"], signal.SIGKILL)
    host.wait_for(lambda status: status["pools"][0]["workers"][0]["restarts"] == 1)
    links = host.slot_targets()
    status = host.wait_until_ready()
    after = pids(host)

    assert not any(link.endswith(f".{before['web.1']}.sock") for link in links.values())

    assert after["web.2"] == before["web.2"]
    assert after["web.1"] != before["web.1"]
    assert status["pools"][0]["workers"][0]["restarts"] == 1
    assert status["pools"][0]["restarts"] == {"SIGKILL": 1}


def test_requests_wait_while_there_is_no_worker(host: Any) -> None:
    """The only worker dies; the next request is held, then answered by its successor."""
    host.start(host.state(workers=1))
    host.wait_until_ready(1)
    with pytest.raises((ConnectionError, IndexError)):  # the request that kills gets no answer
        host.get("/die")
    # a connect in the millisecond before the link has moved is refused; nginx tries another slot then
    host.wait_for(lambda status: status["pools"][0]["workers"][0]["restarts"] == 1)
    code, body = host.get("/echo?value=held")

    assert (code, body) == (200, b"echo held")
    assert host.status()["pools"][0]["restarts"] == {"exit 41": 1}


def test_a_roll_replaces_everybody(host: Any) -> None:
    """New pids, new release, next generation; events tell the story; the old ones are gone."""
    host.start(host.state("r1"))
    host.wait_until_ready()
    before = pids(host)
    host.write(host.state("r2"))
    messages = list(host.control.stream("roll", release="r2"))
    host.wait_until_ready()

    assert messages[-1] == {"result": {"release": "r2", "generation": 2}}
    assert {message["event"]["kind"] for message in messages[:-1]} >= {"roll", "booting", "ready", "linked", "rolled"}
    assert not set(before.values()) & set(pids(host).values())
    assert {worker["release"] for worker in host.workers()} == {"r2"}
    assert b"r2" in host.get("/")[1]


def test_a_roll_waits_for_running_requests(host: Any, tmp_path: Path) -> None:
    """A request that runs in the old worker gets its answer."""
    host.start(host.state(workers=1, drain_s=60.0))
    host.wait_until_ready(1)
    answers: list[tuple[int, bytes]] = []
    end = tmp_path / "end"
    thread = threading.Thread(target=lambda: answers.append(host.get(f"/wait?file={end}", timeout_s=60)))
    thread.start()
    host.wait_for(lambda status: status["pools"][0]["workers"][0]["in_flight"] == 1)
    host.control.call("roll")
    draining = [worker for worker in host.workers() if worker["state"] == "draining"]
    end.touch()
    thread.join()

    assert len(draining) == 1
    assert [one["line"] for one in draining[0]["running"]] == ["GET /wait"]
    assert answers == [(200, b"waited")]


BROKEN = {
    "import": ("import nothing_at_all\n", "ModuleNotFoundError"),
    "syntax": ("def Root(:\n", "SyntaxError"),
    "exit": ("import sys\nsys.exit('no database')\n", "no database"),
    "no entry": ("class Rot: pass\n", "Root"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_release_changes_nothing(host: Any, how: str) -> None:
    """The new generation is discarded with its traceback; not a link moves."""
    source, words = BROKEN[how]
    host.start(host.state("r1", workers=1))
    host.wait_until_ready(1)
    before, links = pids(host), host.slot_targets()
    host.release("broken", source)
    host.write(host.state("broken", workers=1))
    with pytest.raises(ControlError) as caught:
        host.control.call("roll")
    report = caught.value.report

    assert caught.value.kind == "roll_failed"
    assert (report["worker"], report["exit_status"], report["signal"]) == ("web.1", 3, None)
    assert words in report["traceback"]
    assert report["output"] == ""
    assert words in Path(report["log"]).read_text()
    assert (pids(host), host.slot_targets()) == (before, links)
    assert host.status()["release"] == "r1"
    assert len(os.listdir(host.paths.workers)) == 3  # its socket, its order, the holding server


def test_a_release_that_dies_hard_is_reported(host: Any) -> None:
    """Without a traceback the exit status and the last line of the output say it, in the message already."""
    host.start(host.state("r1", workers=1))
    host.wait_until_ready(1)
    host.release("hard", "import os\nprint('about to go', flush=True)\nos._exit(9)\n")
    host.write(host.state("hard", workers=1))
    with pytest.raises(ControlError) as caught:
        host.control.call("roll")

    assert caught.value.report["exit_status"] == 9
    assert "import shop:Root: exit status 9: about to go" in caught.value.message
    assert caught.value.report["step"] == "import shop:Root"


def test_a_release_that_hangs_is_given_up(host: Any) -> None:
    """After boot_timeout_s it is killed; the report says where it was."""
    host.start(host.state("r1", workers=1))
    host.wait_until_ready(1)
    host.release("hang", "import time\ntime.sleep(60)\n")
    host.write(host.state("hang", workers=1, boot_timeout_s=5))
    with pytest.raises(ControlError) as caught:
        host.control.call("roll")

    assert "not ready after 5 s" in caught.value.message
    assert caught.value.report["step"] == "import shop:Root"
    assert host.get("/")[0] == 200


def test_a_first_start_with_broken_code_says_so(host: Any) -> None:
    """The status shows a failed worker with its report, and requests are held, then refused politely."""
    host.release("r1", "import nothing_at_all\n")
    host.start(host.state("r1", workers=1))
    status = host.wait_for(lambda status: status["pools"][0]["workers"][0]["state"] == "failed")

    assert "ModuleNotFoundError" in status["pools"][0]["workers"][0]["report"]["traceback"]
    assert any("no worker serves" in reason for reason in status["degraded"])
    assert host.stop() == 0


def test_scaling_by_apply(host: Any) -> None:
    """More and fewer workers by another description; slots follow."""
    host.start(host.state(workers=1, slots=4))
    host.wait_until_ready(1)
    host.write(host.state(workers=3, slots=4))
    host.control.call("apply")
    status = host.wait_until_ready(3)

    assert sorted(len(worker["slots"]) for worker in status["pools"][0]["workers"]) == [1, 1, 2]

    host.write(host.state(workers=1, slots=2))
    host.control.call("apply")
    status = host.wait_until_ready(1)

    assert status["pools"][0]["workers"][0]["slots"] == [1, 2]


def test_workers_outlive_their_supervisor_and_are_adopted(host: Any) -> None:
    """SIGKILL of the supervisor harms nobody; the next one finds the same workers and keeps them filled."""
    host.start(host.state())
    host.wait_until_ready()
    before, counted = pids(host), host.get("/")[0]
    host.process.kill()
    host.process.wait()

    assert counted == 200
    assert host.get("/")[0] == 200

    host.start()
    status = host.wait_until_ready()

    assert pids(host) == before
    assert status["generation"] == 1

    os.kill(before["web.2"], signal.SIGKILL)
    host.wait_for(lambda status: pids(host).get("web.2") not in {None, before["web.2"]})

    assert host.stop() == 0
    assert host.leftovers() == []


def test_a_state_that_was_written_meanwhile_is_rolled_to(host: Any) -> None:
    """A new supervisor adopts what runs, then brings what is asked for."""
    host.start(host.state("r1", workers=1))
    host.wait_until_ready(1)
    host.process.kill()
    host.process.wait()
    host.write(host.state("r2", workers=1))
    host.start()
    status = host.wait_for(lambda status: status["release"] == "r2")

    assert status["generation"] == 2


def test_a_broken_state_that_was_written_meanwhile_is_not_taken_up(host: Any) -> None:
    """What was adopted serves on, and the status says why."""
    host.start(host.state("r1", workers=1))
    host.wait_until_ready(1)
    before = pids(host)
    host.process.kill()
    host.process.wait()
    host.release("r2", "import nothing_at_all\n")
    host.write(host.state("r2", workers=1))
    host.start()
    status = host.wait_for(lambda status: any("release r2 did not come up" in why for why in status["degraded"]))

    assert status["release"] == "r1"
    assert pids(host) == before


def test_leaving_leaves_everything(host: Any) -> None:
    """`leave` ends the supervisor alone: what an upgrade needs."""
    process = host.start(host.state(workers=1))
    host.wait_until_ready(1)
    before = pids(host)
    host.control.call("leave")

    assert process.wait(10) == 0
    assert host.get("/")[0] == 200

    host.start()
    host.wait_until_ready(1)

    assert pids(host) == before


def test_started_twice_says_who_runs(host: Any) -> None:
    """The second one ends with status 1, names the first and touches nothing."""
    first = host.start(host.state(workers=1))
    host.wait_until_ready(1)
    argv = [sys.executable, "-m", "kirsch.supervise", "--root", host.paths.root, "--run", host.paths.run, "--no-nginx"]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=30)

    assert second.returncode == 1
    assert f"process {first.pid}" in second.stderr
    assert host.get("/")[0] == 200


def test_without_a_state_it_says_so(host: Any) -> None:
    """No traceback: the file that is missing, and exit status 1."""
    process = host.start()

    assert process.wait(30) == 1
    assert "stack.json" in Path(host.paths.log_dir, "supervisor.log").read_text()


def test_sigterm_stops_the_stack(host: Any) -> None:
    """As the verb `stop` does."""
    process = host.start(host.state(workers=1))
    worker = host.wait_until_ready(1)["pools"][0]["workers"][0]["pid"]
    process.terminate()

    assert process.wait(30) == 0
    assert not os.path.exists(f"/proc/{worker}")


def test_a_stopped_worker_is_found_out(host: Any) -> None:
    """SIGSTOP: no sign of life, so it is killed and replaced; its sibling serves meanwhile."""
    state = host.state()
    host.start(state)
    host.wait_until_ready()
    before = pids(host)
    os.kill(before["web.1"], signal.SIGSTOP)
    host.wait_for(lambda status: pids(host).get("web.1") not in {None, before["web.1"]}, timeout_s=60)

    assert pids(host)["web.2"] == before["web.2"]


def test_a_greedy_worker_is_recycled(host: Any) -> None:
    """Over memory_soft the successor boots first; nobody is killed."""
    from kirsch.spec.size import Bytes

    host.start(host.state(workers=1, memory_soft=Bytes.parse("250MiB")))
    host.wait_until_ready(1)
    before = pids(host)

    assert host.get("/eat?mib=300")[0] == 200

    host.wait_for(lambda status: pids(host).get("web.1") not in {None, before["web.1"]})

    assert host.status()["pools"][0]["restarts"] == {}


def test_an_unknown_verb_is_answered(host: Any) -> None:
    """With the verbs that are there."""
    host.start(host.state(workers=1))
    host.wait_until_ready(1)
    with pytest.raises(ControlError, match="ping") as caught:
        host.control.call("dance")

    assert caught.value.kind == "unknown_verb"

    with pytest.raises(ControlError) as caught:
        host.control.call("roll", release="never-built")

    assert caught.value.kind == "unknown_release"


def fetch(url: str, host_name: str | None = None) -> tuple[int, str, Any]:
    request = urllib.request.Request(url, headers={"Host": host_name} if host_name else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_the_admin_endpoint_shows_the_stack(host: Any) -> None:
    """Page, JSON, metrics, health and assets, on our own server; foreign host names are refused."""
    host.start(host.state(workers=1))
    url = host.wait_for(lambda status: status["admin"] and status["pools"][0]["workers"][0]["state"] == "ready")[
        "admin"
    ]
    host.get("/")
    page, metrics = fetch(url), fetch(f"{url}metrics")

    assert page[0] == 200
    assert "web.1" in page[1]
    assert "script-src 'self'" in page[2]["Content-Security-Policy"]
    assert 'kirsch_requests_total{pool="web",status="2xx"} 1.0' in metrics[1]
    assert json.loads(fetch(f"{url}status.json")[1])["release"] == "r1"
    assert fetch(f"{url}readyz")[0] == 200
    assert fetch(f"{url}livez")[0] == 200
    assert fetch(f"{url}assets/status.css")[0] == 200
    assert fetch(f"{url}assets/status.js")[0] == 200
    assert fetch(url, "evil.example")[0] == 403


def test_an_admin_port_in_use_degrades_nothing_else(host: Any) -> None:
    """The supervisor says that it has no window, and works."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", host.admin_port))
        taken.listen()
        host.start(host.state(workers=1))
        status = host.wait_for(lambda status: any("admin" in reason for reason in status["degraded"]))

    assert status["admin"] is None
    assert host.wait_until_ready(1)


def test_an_ill_worker_gets_no_requests(host: Any) -> None:
    """While its readiness probe fails its slots are its sibling's; well again, it gets them back."""
    import msgspec

    from kirsch.spec import Health, Probe

    sick = f"{host.folder}/sick"
    host.release(
        "r1",
        "import os, cherrypy\nclass Root:\n"
        "    @cherrypy.expose\n    def index(self): return os.environ['KIRSCH_WORKER']\n"
        "    @cherrypy.expose\n    def ready(self):\n"
        f"        if os.environ['KIRSCH_WORKER'] == 'web.1' and os.path.exists({sick!r}):\n"
        "            raise cherrypy.HTTPError(503)\n        return 'well'\n",
    )
    state = host.state("r1", slots=4)
    stack = msgspec.structs.replace(state.stack, health=Health(ready=Probe(path="/ready")))
    host.start(msgspec.structs.replace(state, stack=stack))
    host.wait_until_ready()
    Path(sick).touch()
    status = host.wait_for(lambda status: status["pools"][0]["workers"][0]["is_ill"])

    assert status["pools"][0]["workers"][0]["slots"] == []
    assert status["degraded"] == ["web.1: its readiness probe fails"]
    assert {host.get("/", slot=slot)[1] for slot in (1, 2, 3, 4)} == {b"web.2"}

    os.unlink(sick)
    status = host.wait_for(lambda status: not status["pools"][0]["workers"][0]["is_ill"])

    assert len(status["pools"][0]["workers"][0]["slots"]) == 2
