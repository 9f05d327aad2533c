"""Workers that are forked from a template: they share memory, and are workers as any other."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from kirsch.spec import Pool
from kirsch.supervise.process import find_workers

from .conftest import Host

MIB = 2**20
#: An app with 40 MiB of objects, of which 10 MiB are referred to one by one, as modules and tables are.
LARGE = """
import os, cherrypy

TABLE = [bytes(1024) for _ in range(40 * 1024)]


class Root:
    @cherrypy.expose
    def index(self):
        return f"{os.environ['KIRSCH_RELEASE']} {os.environ['KIRSCH_WORKER']} {os.getpid()} {len(TABLE)}"
"""


def pss_bytes(pid: int) -> int:
    """The memory of a process, what it shares counted by its part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def pids(host: Any) -> dict[str, int]:
    """Who serves."""
    return {worker["name"]: worker["pid"] for worker in host.workers() if worker["state"] == "ready"}


def templates(host: Any) -> list[int]:
    """Processes that were started to be forked: children of the supervisor that it does not count as workers."""
    known = {worker["pid"] for worker in host.workers()}
    return [pid for pid in find_workers(host.paths.workers) if pid not in known]


def settle(host: Any) -> None:
    """Wait until everybody is ready, and nobody drains or boots."""
    host.wait_for(lambda status: {worker["state"] for worker in host.workers()} == {"ready"}, 60)


def log_of(host: Any, kind: str) -> list[str]:
    """The lines of the supervisor's log about such events."""
    lines = Path(host.paths.log_dir, "supervisor.log").read_text().splitlines()
    return [line for line in lines if f" {kind} " in line]


@pytest.fixture(scope="module")
def stack() -> Iterator[Host]:
    """A host behind nginx whose workers are forked; the release of the start is not."""
    host = Host()
    try:
        host.release("plain", LARGE)
        host.start(host.state("plain", slots=3), nginx=True)
        host.wait_until_ready(nginx=True)
        yield host
    finally:
        host.clean_up()


@pytest.fixture(scope="module")
def shared(stack: Host, loadgen: ModuleType) -> tuple[list[int], list[int], Any]:
    """Memory of the workers before and after a roll to a pool that preloads, and what its clients saw."""
    plain = [pss_bytes(pid) for pid in pids(stack).values()]
    stack.release("forked", LARGE)
    clients = loadgen.Load(("127.0.0.1", stack.port), lambda client, number: loadgen.Shot(), clients=4)
    with loadgen.running(clients):
        clients.wait_for(50, timeout_s=60.0)
        stack.write(stack.state("forked", slots=3, preload=True))
        stack.control.call("apply")
        clients.wait_for(50, timeout_s=60.0)
    stack.wait_until_ready(nginx=True)
    return plain, [pss_bytes(pid) for pid in pids(stack).values()], clients.tally


@pytest.mark.nginx
def test_a_roll_to_forked_workers_loses_nothing(stack: Host, shared: Any) -> None:
    """Clients that ask all the time see no failure; afterwards the new release is what answers, in each seat."""
    _, _, tally = shared
    seats = {stack.get("/", slot)[1].decode().split()[1] for slot in (1, 2, 3)}

    assert tally.failed == 0, str(tally)
    assert tally.sent > 100
    assert stack.get("/")[1].startswith(b"forked web.")
    assert seats == {"web.1", "web.2"}


@pytest.mark.nginx
def test_memory_is_shared(shared: Any) -> None:
    """What the imports have made is there once: each of two workers counts for half of it at most."""
    plain, forked, _ = shared

    assert min(plain) > 40 * MIB
    assert max(forked) < min(plain) - 20 * MIB


@pytest.mark.nginx
def test_a_killed_worker_is_forked_again(stack: Host, shared: Any) -> None:
    """How it ended is known, as of any child; its successor comes from the same template."""
    (template,) = templates(stack)
    before = pids(stack)
    os.kill(before["web.1"], signal.SIGKILL)
    status = stack.wait_for(lambda status: pids(stack).get("web.1") not in {None, before["web.1"]}, 60)
    died = log_of(stack, "died")[-1]

    assert "killed by SIGKILL" in died
    assert templates(stack) == [template]
    assert status["pools"][0]["restarts"] == {"SIGKILL": 1}
    assert stack.get("/", 1)[0] == 200


@pytest.mark.nginx
def test_workers_outlive_their_template(stack: Host, shared: Any) -> None:
    """Nobody notices its end; the next birth makes another one."""
    before = pids(stack)
    (template,) = templates(stack)
    os.kill(template, signal.SIGKILL)
    stack.wait_for(lambda status: not templates(stack))
    answers = [stack.get("/", slot)[0] for slot in (1, 2)]
    stays = pids(stack)
    stack.control.call("scale", pools={"web": 3})
    (another,) = templates(stack)

    assert answers == [200, 200]
    assert stays == before
    assert another != template
    assert {name: pid for name, pid in pids(stack).items() if name != "web.3"} == before


@pytest.mark.nginx
def test_workers_outlive_their_supervisor(stack: Host, shared: Any) -> None:
    """The template goes with it, the workers stay; the next supervisor adopts them, and makes a template of its own."""
    before = pids(stack)
    (template,) = templates(stack)
    assert stack.process is not None
    stack.process.kill()
    stack.process.wait()
    stack.start(nginx=True)
    stack.wait_until_ready(len(before), nginx=True)
    stack.wait_for(lambda status: template not in templates(stack))
    adopted = pids(stack)
    stack.control.call("kill", workers=["web.2"])
    stack.wait_for(lambda status: pids(stack).get("web.2") not in {None, before["web.2"]}, 60)

    assert adopted == before
    assert len(templates(stack)) == 1


@pytest.mark.nginx
def test_an_upgrade_of_the_supervisor_keeps_them(stack: Host, shared: Any) -> None:
    """The same process ids before and after; the ends of those from before it are still told."""
    before = pids(stack)
    started = stack.status()["started"]
    stack.control.call("upgrade")
    stack.wait_for(lambda status: status["started"] > started)
    after = pids(stack)
    os.kill(before["web.1"], signal.SIGTERM)
    stack.wait_for(lambda status: pids(stack).get("web.1") not in {None, before["web.1"]}, 60)

    assert after == before


THREADED = """
import threading, cherrypy

threading.Thread(target=threading.Event().wait, name="ticker", daemon=True).start()


class Root:
    @cherrypy.expose
    def index(self):
        return "threaded"
"""
CONNECTED = """
import socket, cherrypy

LINE, OTHER = socket.socketpair()


class Root:
    @cherrypy.expose
    def index(self):
        return "connected"
"""


@pytest.mark.nginx
@pytest.mark.parametrize(
    ("name", "source", "why"),
    [("threaded", THREADED, "started by an import: ticker"), ("connected", CONNECTED, "a connection was opened")],
)
def test_what_must_not_be_forked_is_not(stack: Host, shared: Any, name: str, source: str, why: str) -> None:
    """The release serves all the same, each worker started by itself; the log says why, once."""
    stack.release(name, source)
    stack.write(stack.state(name, slots=3, preload=True))
    stack.control.call("apply")
    settle(stack)
    stack.wait_for(lambda status: not templates(stack))
    said = [line for line in log_of(stack, "not_preloaded") if why in line]

    assert stack.get("/")[1] == name.encode()
    assert len(said) == 1


@pytest.mark.nginx
def test_everything_ends_at_the_stop(stack: Host, shared: Any) -> None:
    """No template is left either."""
    stack.release("last", LARGE)
    stack.write(stack.state("last", slots=3, preload=True, engine="gunicorn"))
    stack.control.call("apply")
    settle(stack)
    served = stack.get("/")[1]
    before = templates(stack)
    status = stack.stop()

    assert served.startswith(b"last web.")
    assert len(before) == 1
    assert status == 0
    assert stack.leftovers() == []


def test_the_key_is_written_in_a_pool() -> None:
    """It is off unless somebody asks for it."""
    assert not Pool(name="web").preload
    assert msgspec.convert({"name": "web", "preload": True}, Pool).preload
