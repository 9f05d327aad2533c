"""Metrics of a stack that runs: a real Prometheus scrapes it, and its numbers are what clients sent, to the request."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "docker"


def borrow(name: str, path: Path) -> ModuleType:
    """A module of other tests."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


hosts = borrow("kirsch_supervised_hosts", HERE.parent / "platform" / "supervise" / "conftest.py")
loads = borrow("kirsch_metric_loads", HERE / "loadgen.py")

COUNTING = """
import os, cherrypy, prometheus_client
sold = prometheus_client.Counter("shop_sold", "Sold.", ["kind"])
class Users:
    @cherrypy.expose
    def show(self, name=""):
        sold.labels("tea").inc()
        return "shown " + name
class Root:
    users = Users()
    @cherrypy.expose
    def index(self): return "index"
    @cherrypy.expose
    def echo(self, value=""):
        return "echo " + value
    @cherrypy.expose
    def fail(self): raise ValueError("on purpose")
    @cherrypy.expose
    def slow(self):
        import time; time.sleep(0.05); return "slow"
@cherrypy.health("disk", critical=True, timeout_s=30, interval_s=0.2)
def disk():
    if os.path.exists(os.path.join(os.environ["KIRSCH_SHARED"], "disk-" + os.environ["KIRSCH_WORKER"])):
        raise OSError("no room")
@cherrypy.health("mail", timeout_s=30, interval_s=0.2)
def mail():
    if os.path.exists(os.path.join(os.environ["KIRSCH_SHARED"], "mail")):
        raise OSError("no mail")
"""
DRAINED = 'kirsch_drains_total{outcome="done",pool="web"}'
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's package prometheus")


def fetch(url: str, accept: str = "") -> tuple[int, str, str]:
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers["Content-Type"]


def wait_for(truth: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := truth()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def stack() -> Iterator[Any]:
    """Two workers behind a real nginx, with pages that count themselves; each is recycled after 400 requests."""
    host = hosts.Host()
    for release in ("r1", "r2"):
        host.release(release, COUNTING)
    host.start(host.state("r1", workers=2, max_requests=400), nginx=True)
    host.wait_until_ready(2, nginx=True)
    host.url = host.wait_for(lambda status: status["admin"])["admin"]
    yield host
    host.clean_up()


@pytest.fixture
def ask_prometheus(stack: Any, tmp_path: Path) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Returns what asks a Prometheus that scrapes the stack, with the configuration and rules that are shipped."""
    port = hosts.free_port()
    folder = tmp_path / "prometheus"
    shutil.copytree(SHIPPED / "prometheus", folder)
    config = folder / "prometheus.yml"
    text = config.read_text().replace("127.0.0.1:9180", urllib.parse.urlsplit(stack.url).netloc)
    config.write_text(text.replace("interval: 15s", "interval: 1s"))
    argv = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data"]
    argv += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage", "--log.level=error"]
    with subprocess.Popen(argv) as process:

        def ask(query: str) -> list[dict[str, Any]]:
            try:
                _, text, _ = fetch(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}")
            except OSError:
                return []
            found: list[dict[str, Any]] = json.loads(text)["data"]["result"]
            return found

        ask.base = f"http://127.0.0.1:{port}"  # type: ignore[attr-defined]
        yield ask
        process.terminate()


def answered(text: str) -> Counter[tuple[str, str, str]]:
    """What the metrics say was answered, by handler, method and status."""
    found: Counter[tuple[str, str, str]] = Counter()
    for line in text.splitlines():
        if line.startswith("kirsch_handler_requests_total{"):
            labels = dict(part.split("=", 1) for part in line[line.index("{") + 1 : line.rindex("}")].split(","))
            key = tuple(labels[name].strip('"') for name in ("handler", "method", "status"))
            found[key] += int(float(line.rpartition(" ")[2]))  # type: ignore[index]
    return found


def aim(client: int, number: int) -> Any:
    """A mixture, whose parts are told apart by status and method."""
    kind = (client + number) % 5
    if kind == 0:
        return loads.Shot(path="/", expected_body=b"index")
    if kind == 1:
        return loads.Shot(path=f"/users/show/n{number}")
    if kind == 2:
        return loads.Shot("POST", "/echo", b"value=x", content_type="application/x-www-form-urlencoded")
    if kind == 3:
        return loads.Shot(path="/fail", expected_status=500)
    return loads.Shot(path=f"/nowhere/{number}", expected_status=404)


NAMES = {
    0: ("Root.index", "GET", "2xx"),
    1: ("Root.users.show", "GET", "2xx"),
    2: ("Root.echo", "POST", "2xx"),
    3: ("Root.fail", "GET", "5xx"),
    4: ("(none)", "GET", "4xx"),
}


@promtool
def test_what_is_shipped_is_right() -> None:
    """Configuration and rules are read, and the rules fire when they should and only then."""
    folder = SHIPPED / "prometheus"
    for words in (
        ["check", "config", folder / "prometheus.yml"],
        ["check", "rules", folder / "rules.yml"],
        ["test", "rules", folder / "rules_test.yml"],
    ):
        done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout + done.stderr


def test_dashboards_ask_for_metrics_that_there_are(stack: Any) -> None:
    """Every name in the dashboards and rules is in the exposition; data sources are variables."""
    text = fetch(f"{stack.url}metrics")[1]
    known = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    words: set[str] = set()
    for path in SHIPPED.rglob("*.json"):
        board = json.loads(path.read_text())
        words |= {word for panel in board["panels"] for one in panel["targets"] for word in _names(one["expr"])}

        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {"${datasource}"}

    words |= _names((SHIPPED / "prometheus" / "rules.yml").read_text())
    families = {word.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for word in words}

    assert len(words) > 20
    assert families <= known | {name.removesuffix("_total") for name in known}


def _names(text: str) -> set[str]:
    cleaned = "".join(letter if letter.isalnum() or letter in "_:" else " " for letter in text)
    return {word for word in cleaned.split() if word.startswith("kirsch_")}


def name_of(shot: Any) -> tuple[str, str, str]:
    """Return what a shot is counted as."""
    first = shot.path.split("/")[1]
    return NAMES[{"": 0, "users": 1, "echo": 2, "fail": 3, "nowhere": 4}[first]]


@promtool
def test_counters_are_what_was_sent(stack: Any, ask_prometheus: Any) -> None:
    """Across a roll, recycles and a SIGKILL, by page, method and status: nothing lost but what was inside."""
    sent: Counter[tuple[str, str, str]] = Counter()
    counts = [0] * 5

    def count(client: int, number: int) -> Any:
        counts[client] = number + 1
        return aim(client, number)

    before = answered(fetch(f"{stack.url}metrics")[1])
    load = loads.Load(("127.0.0.1", stack.port), count, clients=5, pause_s=0.002)
    with loads.running(load):
        load.wait_for(200, 60)
        stack.write(stack.state("r2", workers=2, max_requests=400))
        stack.control.call("roll")
        load.wait_for(100, 60)
        victim = stack.workers()[0]["pid"]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in [worker["pid"] for worker in stack.workers()])
        load.wait_for(300, 120)
        wait_for(lambda: value(fetch(f"{stack.url}metrics")[1], DRAINED) >= 3, 120)  # two were rolled, one is recycled
    tally = load.tally
    stack.wait_until_ready(2, nginx=True)
    for client, count in enumerate(counts):
        sent += Counter(name_of(aim(client, number)) for number in range(count))
    lost = Counter(map(name_of, tally.lost))
    text = fetch(f"{stack.url}metrics")[1]
    found = answered(text) - before
    sold = value(text, 'shop_sold_total{kind="tea",pool="web"}')
    shown = NAMES[1]

    assert tally.failed <= 10, tally  # those inside the worker that was killed
    assert found.keys() == sent.keys()
    assert all(sent[name] - lost[name] <= found[name] <= sent[name] for name in sent), (sent, lost, found)
    assert sent[shown] - lost[shown] <= sold <= sent[shown]
    assert value(text, 'kirsch_worker_restarts_total{cause="SIGKILL",pool="web"}') == 1
    assert value(text, 'kirsch_rolls_total{outcome="done"}') == 1
    assert len(list(Path(stack.paths.app_metrics("web")).glob("*.db"))) <= 2

    total = sum(answered(text).values())
    query = "sum(kirsch_handler_requests_total)"
    wait_for(lambda: (got := ask_prometheus(query)) and float(got[0]["value"][1]) == total)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_slow_request_is_an_exemplar(stack: Any) -> None:
    """With the id that nginx gave it, for who reads OpenMetrics; no one else gets any."""
    _, _, _ = fetch(f"http://127.0.0.1:{stack.port}/slow")
    log = Path(stack.paths.nginx_access_log)
    request_id = wait_for(lambda: [json.loads(line) for line in log.read_text().splitlines() if "/slow" in line])[0]
    _, plain, _ = fetch(f"{stack.url}metrics")
    _, text, kind = fetch(f"{stack.url}metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    (line,) = [line for line in text.splitlines() if " # {" in line and 'handler="Root.slow"' in line]

    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert any(str(found) and f'request_id="{found}"' in line for found in request_id.values())
    assert " # {" not in plain


def test_a_failing_check_takes_a_worker_out_and_back(stack: Any) -> None:
    """A critical one of one worker: its slots go to the other, and come back; of both, both stay.

    One that is not critical takes nobody out.
    """
    shared = Path(stack.paths.shared)

    def slots() -> dict[str, int]:
        return {worker["name"]: len(worker["slots"]) for worker in stack.workers()}

    def health() -> tuple[int, dict[str, Any]]:
        status, text, _ = fetch(f"{stack.url}readyz")
        return status, json.loads(text)

    def checks() -> dict[str, dict[str, str]]:
        return {
            worker["name"]: {check["name"]: check["state"] for check in worker["checks"]}
            for worker in health()[1]["pools"][0]["workers"]
        }

    Path(shared, "disk-web.1").touch()
    wait_for(lambda: slots() == {"web.1": 0, "web.2": 2})
    one_out = health()
    status, _, _ = fetch(f"http://127.0.0.1:{stack.port}/")
    Path(shared, "disk-web.2").touch()
    wait_for(lambda: slots() == {"web.1": 1, "web.2": 1} and checks()["web.2"]["disk"] == "failing")
    metrics = fetch(f"{stack.url}metrics")[1]
    for path in shared.glob("disk-*"):
        path.unlink()
    Path(shared, "mail").touch()
    wait_for(lambda: checks() == {name: {"disk": "passing", "mail": "failing"} for name in ("web.1", "web.2")})
    degraded = health()

    assert (one_out[0], one_out[1]["state"], status) == (200, "degraded", 200)
    assert "web.1: check disk fails: OSError: no room" in one_out[1]["degraded"]
    assert value(metrics, 'kirsch_check_passing{check="disk",critical="true",pool="web",worker="web.1"}') == 0
    assert (degraded[0], degraded[1]["state"]) == (200, "degraded")
    assert slots() == {"web.1": 1, "web.2": 1}
    assert fetch(f"{stack.url}startupz")[0] == 200
    assert [fetch(f"http://127.0.0.1:{stack.port}{path}")[0] for path in ("/livez", "/readyz", "/startupz")] == [
        404
    ] * 3


def value(text: str, sample: str) -> float:
    """Return the value of a sample in an exposition."""
    (line,) = [line for line in text.splitlines() if line.startswith(sample)]
    return float(line.rpartition(" ")[2])
