"""The first command of the README, end to end: deploy the demo, roll it under load, break it, take it down.

The tests of this file are one story, told in order, about one stack that is really deployed to this machine.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kirsch.errors import NginxError
from kirsch.nginx.binary import find_nginx
from kirsch.release.shell import LocalShell

DEMO = Path(__file__).resolve().parents[2] / "deploy" / "demo"
LOAD_S = float(os.environ.get("KIRSCH_LOAD_S", "20"))
CLIENTS = 8

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Demo:
    """The demo in a folder of its own, deployed to a root beside it."""

    folder: Path
    port: int = 0

    @property
    def source(self) -> Path:
        """The folder of kirsch.toml."""
        return self.folder / "demo"

    def kirsch(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        where = ["--stack", str(self.source / "kirsch.toml"), "--inventory", str(self.folder / "local.toml")]
        command = [sys.executable, "-m", "kirsch", *argv, *where]
        # typed by hand, not by make, which is told other verbs to go on with
        environ = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180, env=environ)

    def status(self) -> dict[str, Any]:
        """What `kirsch status --json` says."""
        ran = self.kirsch("status", "--json")
        assert ran.stdout, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def workers(self) -> list[dict[str, Any]]:
        """Every worker of the status."""
        return [worker for pool in self.status()["pools"] for worker in pool["workers"]]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def post(self, path: str, value: object, **headers: str) -> Answer:
        """POST JSON."""
        return self.ask("POST", path, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def mark(self, text: str) -> None:
        """Change the code so that every answer of the new release bears *text*."""
        path = self.source / "shop" / "web.py"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("RELEASE = ")]
        lines.insert(lines.index("HERE = Path(__file__).resolve().parent"), f'RELEASE = "{text}"')
        path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, not yet deployed; whatever happens, nothing of it is left."""
    try:
        find_nginx()
    except NginxError as error:
        pytest.skip(f"no nginx: {error.message}")
    folder = tmp_path_factory.mktemp("deploy")
    shutil.copytree(DEMO, folder / "demo", ignore=shutil.ignore_patterns("__pycache__"))
    port, admin = free_ports(2)
    (folder / "local.toml").write_text(
        f'port_policy = "next_free"\nadmin = "127.0.0.1:{admin}"\n[listen]\nmain = "127.0.0.1:{port}"\n'
        '[host.local]\nconnection = "local"\nroot = "root"\n'
    )
    # nginx's workers are another user when this is root, and pytest's folders are private
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    demo = Demo(folder, port)
    yield demo
    demo.kirsch("down", "--purge", "--yes")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on right now."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def test_first_deploy(demo: Demo) -> None:
    """It ends well and says where everything is and what to type next."""
    ran = demo.kirsch("deploy")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    for word in (f"http://127.0.0.1:{demo.port}/", "/legacy", "web.1", "web.2", "ready", "metrics", "kirsch down"):
        assert word in ran.stdout


def test_both_workers_answer_everywhere(demo: Demo) -> None:
    """Pages, JSON, files and the foreign application, from two processes."""
    seen: dict[str, Counter[str]] = {}
    for path in ("/", "/api/goods", "/static/shop.css", "/legacy/"):
        for _ in range(12):
            answer = demo.ask("GET", path)
            assert answer.status == 200, (path, answer.body)
            seen.setdefault(path, Counter())[answer.headers["X-Kirsch-Worker"]] += 1

    assert [(path, sorted(workers)) for path, workers in seen.items()] == [(p, ["web.1", "web.2"]) for p in seen]


def test_session_is_known_to_every_worker(demo: Demo) -> None:
    """A cart that one worker began is gone on with by the other, and ordered."""
    first = demo.post("/api/cart", {"items": {"tea": 1}})
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    workers = {
        demo.post("/api/cart", {"items": {"jam": 1}}, Cookie=cookie).headers["X-Kirsch-Worker"] for _ in range(6)
    }
    cart = json.loads(demo.ask("GET", "/api/cart", Cookie=cookie).body)
    order = demo.ask("POST", "/api/order", b"", Cookie=cookie)

    assert workers == {"web.1", "web.2"}
    assert cart["items"] == {"tea": 1, "jam": 6}
    assert (order.status, json.loads(order.body)["cents"]) == (201, cart["cents"])


def test_streamed_report_and_upload(demo: Demo) -> None:
    """A streamed answer ends whole; a file is kept byte by byte."""
    report = demo.ask("GET", "/report")
    content = os.urandom(300_000)
    head = b'--cut\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
    body = head + content + b"\r\n--cut--\r\n"
    upload = json.loads(demo.ask("POST", "/upload", body, Content_Type="multipart/form-data; boundary=cut").body)
    kept = demo.folder / "root" / "shared" / "uploads" / upload["sha256"]

    assert report.body.startswith(b"order,placed,cents\n")
    assert report.body.rstrip().splitlines()[-1].startswith(b"# by web.")
    assert kept.read_bytes() == content


def test_grafted_application_knows_its_mount_and_its_client(demo: Demo) -> None:
    """Flask's own links carry /legacy, and it sees what nginx says of the client."""
    said = json.loads(demo.ask("GET", "/legacy/item/7", X_Forwarded_For="6.6.6.6").body)

    assert said["script_root"] == "/legacy"
    assert said["item"] == 7
    assert said["remote"] != "6.6.6.6"


@dataclass
class Load:
    """Clients that POST without pause on kept connections and check every answer's content."""

    port: int
    good: int = 0
    failures: list[str] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)
    releases: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Load:
        """Begin."""
        self.threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        """End, and wait for the last answers."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def client(self, number: int) -> None:
        """POST until told to stop; a connection is only opened anew when the server said so, or after a failure."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        count = 0
        while not self.stopping.is_set():
            count += 1
            note = f"{number}/{count}"
            try:
                connection.request("POST", "/api/quote", *question(note))
                answer = connection.getresponse()
                body = answer.read()
                self.judge(note, answer, body)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.fail(f"{note}: {error!r}")

    def judge(self, note: str, answer: http.client.HTTPResponse, body: bytes) -> None:
        """Count an answer as good only if it is the one to this question."""
        is_good = answer.status == 200 and json.loads(body) == {"cents": 1600, "note": note}
        if not is_good:
            self.fail(f"{note}: {answer.status} {body[:200]!r}")
            return
        with self.lock:
            self.good += 1
            self.releases[answer.headers["X-Kirsch-Release"]] += 1

    def fail(self, text: str) -> None:
        """Note a request that was lost, and when."""
        with self.lock:
            self.failures.append(text)
            self.failed_at.append(time.monotonic())


def question(note: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of one POST: two teas and a jam cost 16 euros."""
    body = json.dumps({"items": {"tea": 2, "jam": 1}, "note": note}).encode()
    return body, {"Content-Type": "application/json"}


def test_rolls_and_a_kill_under_load_lose_nothing(demo: Demo) -> None:
    """Two deploys and one SIGKILL while eight clients POST: only what was inside of the killed worker may fail."""
    began = time.monotonic()
    with Load(demo.port) as load:
        for name in ("first roll", "second roll"):
            demo.mark(name)
            ran = demo.kirsch("deploy")
            assert ran.returncode == 0, ran.stdout + ran.stderr
        rolled = list(load.failures)
        victim = next(worker["pid"] for worker in demo.workers() if worker["state"] == "ready")
        killed = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        while time.monotonic() < max(began + LOAD_S, killed + 5):
            time.sleep(0.1)

    assert rolled == []
    # each client has one request under way, and is not sent to the dying worker again
    assert len(load.failures) <= CLIENTS, load.failures
    assert all(at - killed < 1.0 for at in load.failed_at), load.failures
    assert {"first roll", "second roll"} <= set(load.releases)
    assert load.good > 100


def test_killed_worker_is_replaced(demo: Demo) -> None:
    """Two are ready again soon, and the count of restarts tells of it."""
    deadline = time.monotonic() + 30
    while [worker["state"] for worker in demo.workers()] != ["ready", "ready"] and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = demo.workers()

    assert [worker["state"] for worker in workers] == ["ready", "ready"]
    assert sum(worker["restarts"] for worker in workers) == 1


def test_broken_code_leaves_the_old_serving(demo: Demo) -> None:
    """Exit status 1, the traceback on the screen, the old release current and serving with the same processes."""
    before = demo.status()
    path = demo.source / "shop" / "web.py"
    whole = path.read_text()
    path.write_text(whole + "\ndef broken(:\n")
    with Load(demo.port) as load:
        ran = demo.kirsch("deploy")
    path.write_text(whole)
    after = demo.status()

    assert ran.returncode == 1
    assert "SyntaxError" in ran.stderr
    assert "web.py" in ran.stderr
    assert load.failures == []
    assert after["release"] == before["release"]
    assert [w["pid"] for p in after["pools"] for w in p["workers"]] == [
        w["pid"] for p in before["pools"] for w in p["workers"]
    ]
    assert (demo.folder / "root" / "current").resolve().name == before["release"]


def test_mistake_in_the_stack_changes_nothing(demo: Demo) -> None:
    """Exit status 2, with file, key and the word that was meant."""
    path = demo.source / "kirsch.toml"
    whole = path.read_text()
    path.write_text(whole.replace("threads = 10", "thread = 10"))
    ran = demo.kirsch("deploy")
    path.write_text(whole)

    assert ran.returncode == 2
    assert "pool.web.thread" in ran.stderr
    assert "did you mean threads?" in ran.stderr


def test_metrics_and_status_page(demo: Demo) -> None:
    """The addresses that the table names do answer."""
    admin = demo.status()["admin"].rstrip("/").rpartition("/")[2]
    connection = http.client.HTTPConnection(admin, timeout=30)
    connection.request("GET", "/metrics")
    metrics = connection.getresponse().read().decode()
    connection.request("GET", "/")
    page = connection.getresponse()

    assert "# TYPE" in metrics
    assert "web" in metrics
    assert page.status == 200
    connection.close()


def test_down_leaves_nothing_behind(demo: Demo) -> None:
    """No process, no run directory, no root; the port is free again."""
    status = demo.status()
    run_dir = find_run_dir(status["pid"])
    pids = [status["pid"], status["nginx"]["pid"], *(worker["pid"] for worker in demo.workers())]
    ran = demo.kirsch("down", "--purge", "--yes")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [pid for pid in pids if LocalShell().is_alive(pid)] == []
    assert not Path(run_dir).exists()
    assert not (demo.folder / "root").exists()
    socket.create_server(("127.0.0.1", demo.port)).close()


def find_run_dir(pid: int) -> str:
    """The run directory, from the supervisor's command line."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index("--run") + 1]
