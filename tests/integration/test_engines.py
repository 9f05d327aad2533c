"""Each engine behind a real nginx and a real supervisor: what is rolled, scaled or recycled loses no request.

Eight keep-alive clients ask without pause and check every body; a kept connection that is closed under them counts too.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from kirsch.errors import ControlError, NginxError
from kirsch.nginx.binary import find_nginx
from kirsch.spec import App

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(180)]

HERE = Path(__file__).resolve().parent
CLIENTS = 8
SHOP = """
import os, time
import cherrypy

WHO = f"{os.environ['KIRSCH_WORKER']} {os.environ['KIRSCH_RELEASE']}"

class Root:
    @cherrypy.expose
    def echo(self, value=""):
        cherrypy.response.headers["X-Worker"] = WHO
        return "echo " + value

    @cherrypy.expose
    def upload(self):
        raise cherrypy.HTTPError(413, "not read")

    @cherrypy.expose
    def stream(self, count="5"):
        cherrypy.response.headers["X-Worker"] = WHO
        def pieces():
            for number in range(int(count)):
                time.sleep(0.005)
                yield f"{number};"
        return pieces()
    stream._cp_config = {"response.stream": True}
"""


def borrow(name: str, path: Path) -> ModuleType:
    """A module of other tests: the load generator, the host with a supervisor."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


loadgen = borrow("kirsch_loadgen", HERE / "loadgen.py")
hosts = borrow("kirsch_supervised_host", HERE.parent / "platform" / "supervise" / "conftest.py")


@pytest.fixture(scope="module", autouse=True)
def _nginx() -> None:
    try:
        find_nginx()
    except NginxError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["gunicorn", "uwsgi"])
def engine(request: pytest.FixtureRequest) -> str:
    """The native one has the same tests in ``tests/platform/supervise``."""
    return str(request.param)


@pytest.fixture
def host() -> Iterator[Any]:
    """A host that is cleaned up."""
    made = hosts.Host()
    yield made
    made.clean_up()


def aim(client: int, index: int) -> Any:
    """POSTs, GETs and streams, each with an answer of its own."""
    value = f"{client}-{index}"
    if index % 3 == 0:
        return loadgen.Shot("GET", f"/echo?value={value}", b"", 200, f"echo {value}".encode())
    if index % 10 == 1:
        return loadgen.Shot("GET", "/stream?count=4", b"", 200, b"0;1;2;3;")
    form = "application/x-www-form-urlencoded"
    return loadgen.Shot("POST", "/echo", f"value={value}".encode(), 200, f"echo {value}".encode(), form)


@pytest.fixture
def load(host: Any) -> Any:
    return loadgen.Load(("127.0.0.1", host.port), aim, clients=CLIENTS, note_header="x-worker", stale_is_failure=True)


def complaints(host: Any) -> list[str]:
    """What nginx's error log says of upstreams."""
    lines = Path(host.paths.nginx_error_log).read_text().splitlines()
    return [line for line in lines if "upstream" in line and "[error]" in line]


def serve(host: Any, engine: str, **pool: Any) -> None:
    """Start two workers of *engine* on four slots, with a release "r1" and others to roll to."""
    for release in ("r1", "r2", "r3"):
        host.release(release, SHOP)
    host.release("broken", "import nothing_at_all\n")
    host.start(host.state("r1", slots=4, engine=engine, **pool), nginx=True)
    host.wait_until_ready(nginx=True)


def test_rolls_lose_nothing(host: Any, load: Any, engine: str) -> None:
    """Three rolls, one of them to broken code: every answer is right, and nginx has nothing to complain of."""
    serve(host, engine)
    with loadgen.running(load):
        load.wait_for(200)
        for release in ("r2", "broken", "r3"):
            host.write(host.state(release, slots=4, engine=engine))
            if release == "broken":
                with pytest.raises(ControlError):
                    host.control.call("roll")
            else:
                host.control.call("roll")
            load.wait_for(300)
        host.wait_until_ready(nginx=True)

    assert load.tally.failed == 0, str(load.tally)
    assert load.tally.good > 1000
    assert {value.partition(" ")[2] for value in load.tally.headers_seen} == {"r1", "r2", "r3"}
    assert complaints(host) == []


def test_rolls_lose_nothing_by_the_uwsgi_protocol(host: Any, load: Any) -> None:
    """nginx, probes and the holding server speak it to the workers; a roll and a pause cost nobody an answer."""
    serve(host, "uwsgi", protocol="uwsgi")
    with loadgen.running(load):
        load.wait_for(200)
        host.write(host.state("r2", slots=4, engine="uwsgi", protocol="uwsgi"))
        host.control.call("roll")
        load.wait_for(300)
        host.control.call("pause")
        host.wait_for(lambda status: status["pools"][0]["held"])
        host.control.call("resume")
        load.wait_for(300)

    assert load.tally.failed == 0, str(load.tally)
    assert {value.partition(" ")[2] for value in load.tally.headers_seen} == {"r1", "r2"}
    assert complaints(host) == []


def test_scaling_loses_nothing(host: Any, load: Any, engine: str) -> None:
    """More workers, fewer workers, by moved links: nginx is not reloaded."""
    serve(host, engine)
    with loadgen.running(load):
        load.wait_for(100)
        for workers in (4, 2, 3):
            host.control.call("scale", pools={"web": workers})
            load.wait_for(200)
        host.wait_until_ready(3, nginx=True)

    assert load.tally.failed == 0, str(load.tally)
    assert complaints(host) == []


def test_recycling_loses_nothing(host: Any, load: Any, engine: str) -> None:
    """Workers that had their number of requests are replaced, one after the other."""
    serve(host, engine, max_requests=400)
    before = {worker["pid"] for worker in host.workers()}
    with loadgen.running(load):
        host.wait_for(lambda status: not before & {one["pid"] for pool in status["pools"] for one in pool["workers"]})
        load.wait_for(100)

    assert load.tally.failed == 0, str(load.tally)


def test_a_killed_worker_costs_only_what_is_inside_it(host: Any, load: Any, engine: str) -> None:
    """After SIGKILL each failure is a request that had been sent to that worker; it is replaced."""
    serve(host, engine)
    with loadgen.running(load):
        load.wait_for(200)
        os.kill(host.workers()[0]["pid"], signal.SIGKILL)
        load.wait_for(300)
        host.wait_until_ready(nginx=True)

    # a client has one request under way, and a worker has two of the slots: once each
    assert load.tally.failed <= 2 * CLIENTS, str(load.tally)


def test_a_body_that_is_not_read_does_not_cost_its_answer(host: Any, engine: str) -> None:
    """A Unix socket closed with octets unread resets its peer, and nginx would say 502 instead of 413."""
    serve(host, engine)
    client = loadgen.Client(("127.0.0.1", host.port))
    for _ in range(20):
        client.fire(loadgen.Shot("POST", "/upload", os.urandom(700_000), 413))
    client.close()

    assert complaints(host) == []


def test_a_broken_app_is_seen_by_its_operator_only(host: Any, engine: str) -> None:
    """503 without the reason for visitors; status and metrics say that something is wrong; the neighbour serves."""
    folder = Path(host.release("r1", SHOP))
    (folder / "legacy.py").write_text("import a_secret_module\n")
    state = host.state("r1", slots=2, engine=engine)
    legacy = App(name="legacy", entry="legacy:app", mount="/legacy", isolate=True)
    vhost = msgspec.structs.replace(state.stack.vhosts["main"], apps=("shop", "legacy"))
    stack = msgspec.structs.replace(state.stack, apps=state.stack.apps | {"legacy": legacy}, vhosts={"main": vhost})
    host.start(msgspec.structs.replace(state, stack=stack), nginx=True)
    status = host.wait_until_ready(nginx=True)
    client = loadgen.Client(("127.0.0.1", host.port))
    _, page = client.fire(loadgen.Shot(path="/legacy/x", expected_status=503))
    client.fire(aim(0, 0))
    client.close()

    why = "app legacy is broken: ModuleNotFoundError: No module named 'a_secret_module'"
    assert b"out of order" in page
    assert b"a_secret_module" not in page
    assert [worker["note"] for worker in status["pools"][0]["workers"]] == [why] * 2
    assert f"web.1: {why}" in status["degraded"]


def test_metrics_and_status_know_its_requests(host: Any, engine: str) -> None:
    """Counted by the worker, on the scoreboard, whatever serves."""
    serve(host, engine)
    client = loadgen.Client(("127.0.0.1", host.port))
    for index in range(30):
        client.fire(aim(0, index))
    client.close()
    admin = loadgen.Client(("127.0.0.1", host.admin_port))
    deadline = time.monotonic() + 10
    wanted = b'kirsch_requests_total{pool="web",status="2xx"} 30.0'
    while wanted not in (metrics := admin.fire(loadgen.Shot(path="/metrics"))[1]) and time.monotonic() < deadline:
        time.sleep(0.05)
    admin.close()

    assert wanted in metrics
    assert host.status()["pools"][0]["engine"] == engine
