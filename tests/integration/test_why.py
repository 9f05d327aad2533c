"""Causes that `kirsch why` names, provoked in one running stack behind a real nginx."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import io
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kirsch.cli.verbs import run
from kirsch.nginx.marker import ask_status
from kirsch.observe.nginx_metrics import parse_stub_status
from kirsch.spec import App, HostPaths, Pool, Route, Stack, Vhost, Workers, run_name
from kirsch.spec.guard import Auth, Maintenance, Rate
from kirsch.spec.pool import Rolling, Scaling
from kirsch.spec.size import Bytes
from kirsch.spec.vhost import Listen

pytestmark = pytest.mark.nginx

_spec = importlib.util.spec_from_file_location(
    "kirsch_why_hosts", Path(__file__).parents[1] / "platform" / "supervise" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
hosts = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = hosts
_spec.loader.exec_module(hosts)

SHOP = """
import logging, os, signal, time
import cherrypy

class Root:
    @cherrypy.expose
    def cart(self): return "cart"

    @cherrypy.expose
    def boom(self, **rest):
        logging.getLogger("shop").info("about to fail")
        raise ValueError("no such jam")

    @cherrypy.expose
    @cherrypy.tools.sessions(storage_type="redis", host="127.0.0.1", port=1)
    def basket(self): return str(cherrypy.session.get("x"))

    @cherrypy.expose
    def own(self): raise cherrypy.HTTPError(503, "not today")

    @cherrypy.expose
    def private(self): raise cherrypy.HTTPError(403, "not you")

    @cherrypy.expose
    def teapot(self): raise cherrypy.HTTPError(418, "a teapot")

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["GET"])
    def readonly(self): return "read"

    @cherrypy.expose
    @cherrypy.config(**{"request.body.maxbytes": 100})
    def small(self, **kw): return "small"

    @cherrypy.expose
    def loop(self): raise cherrypy.HTTPRedirect("/loop")

    @cherrypy.expose
    def fields(self):
        cherrypy.response.headers["X-Large"] = "x" * 40000
        return "fields"

    @cherrypy.expose
    def sleep(self, s="1"):
        time.sleep(float(s))
        return "slept"

    @cherrypy.expose
    def die(self): os._exit(41)

    @cherrypy.expose
    def shot(self): os.kill(os.getpid(), signal.SIGKILL)
"""

PASSWORD = "$5$kirsch$GHGg0bBIjGNWyyLmyTJRQqVZ5ZoBAiYe5Gvr7A5SpD4"


@dataclass
class Scene:
    """A stack that runs, and what was provoked in it: names of causes to the id of a request."""

    host: Any
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, name: str = "shop.test", method: str = "GET", body: bytes = b"", **headers: str) -> str:
        """Send a request through nginx; return its id."""
        line = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=60)
        try:
            line.request(method, path, body or None, {"Host": name, **headers})
            answer = line.getresponse()
            answer.read()
            return answer.headers.get("X-Request-ID") or ""
        finally:
            line.close()

    def send(self, data: bytes, port: int) -> None:
        """Send octets, and read until the end."""
        with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
            line.sendall(data)
            while line.recv(65536):
                continue

    def why(self, *words: str) -> dict[str, Any]:
        """Ask the command line why."""
        found: dict[str, Any] = json.loads(self.run("why", *words, "--json"))
        return found

    def run(self, *words: str) -> str:
        """Run the command line; return what it printed."""
        where = ["--stack", str(self.folder / "kirsch.toml"), "--inventory", str(self.folder / "live.toml")]
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = run([*words, *where])
        assert status == 0, said.getvalue()
        return said.getvalue()


def _state(host: Any) -> Any:
    state = host.state("r1")
    folder = Path(state.release_dir)
    (folder / "shop.py").write_text(SHOP)
    (folder / "broken.py").write_text("import nothing_at_all\n")
    usual: dict[str, Any] = {"roll": Rolling(bake_s=0), "scale": Scaling(auto=False), "hold_s": 0.4, "drain_s": 5.0}
    one, two = Workers(min=1, max=1), Workers(min=2, max=2)
    pools = [
        Pool(name="web", workers=two, **usual),
        Pool(name="late", workers=one, request_deadline_s=1.0, quarantine_s=0.4, **usual | {"drain_s": 0.4}),
        Pool(name="shaky", workers=two, **usual),
        Pool(name="calm", workers=one, **usual),
        Pool(name="gone", workers=one, **usual),
    ]
    routes = {
        "/sleep": Route(timeout_s=1.0),
        "/guarded": Route(deny=("127.0.0.0/8",)),
        "/often": Route(rate=Rate(limit="1/m", burst=0)),
        "/locked": Route(auth=Auth(users={"ann": PASSWORD})),
    }
    apps = [
        App(name="shop", entry="shop:Root", routes=routes),
        App(name="broken", entry="broken:Root", mount="/broken", isolate=True),
        *[App(name=pool, entry="shop:Root", mount=f"/{pool}", pool=pool) for pool in ("late", "shaky", "calm")],
        App(name="gone", entry="broken:Root", mount="/gone", pool="gone"),
    ]
    plain = (Listen(address="127.0.0.1", port=host.port),)
    vhosts = [
        Vhost(
            name="main", names=("shop.test",), listen=plain, apps=tuple(app.name for app in apps), max_body=Bytes(2**20)
        ),
        Vhost(name="shut", names=("shut.test",), listen=plain, apps=("shop",), maintenance=Maintenance()),
        Vhost(name="part", names=("part.test",), listen=plain, apps=("calm",)),
    ]
    stack = Stack(
        name="demo",
        apps={app.name: app for app in apps},
        pools={pool.name: pool for pool in pools},
        vhosts={vhost.name: vhost for vhost in vhosts},
        directory=state.release_dir,
    )
    return msgspec.structs.replace(state, stack=stack)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The stack, with everything provoked at once: most of it is over in a second."""
    folder = tmp_path_factory.mktemp("why")
    host = hosts.Host()
    # the name that the command line finds by the root
    host.paths = HostPaths(root=host.paths.root, run=f"{host.folder}/{run_name(host.paths.root, 'demo')}")
    host.control = hosts.ControlClient(host.paths.control_socket, timeout_s=60)
    os.makedirs(host.paths.run)
    try:
        (folder / "kirsch.toml").write_text('[stack]\nname = "demo"\n[app.shop]\nentry = "shop:Root"\n')
        (folder / "shop.py").write_text("")
        (folder / "live.toml").write_text(f'[host.here]\nconnection = "local"\nroot = "{host.paths.root}"\n')
        os.symlink(host.paths.run, host.paths.run_link)
        host.start(_state(host), nginx=True)
        host.wait_for(_is_up, 60)
        made = Scene(host, folder)
        _provoke(made)
        yield made
    finally:
        host.clean_up()


def _is_up(status: dict[str, Any]) -> bool:
    states = [worker["state"] for pool in status["pools"] if pool["name"] != "gone" for worker in pool["workers"]]
    return bool(status["nginx"]["pid"]) and set(states) == {"ready"}


def _provoke(scene: Scene) -> None:
    ask, port = scene.ask, scene.host.port
    cases = {
        "none": lambda: ask("/cart"),
        "exception": lambda: ask("/boom?token=s3cret&q=1", Cookie="session_id=abc", Authorization="Bearer x"),
        "session_store": lambda: ask("/basket", Cookie="session_id=" + "a" * 40),
        "forbidden": lambda: ask("/private"),
        "own_error": lambda: ask("/own"),
        "bad_input": lambda: ask("/teapot"),
        "method_not_allowed": lambda: ask("/readonly", method="POST", body=b"a=1"),
        "body_refused": lambda: ask("/small", method="POST", body=b"a=" + b"x" * 5000),
        "no_such_page": lambda: ask("/carrt"),
        "no_such_path": lambda: ask("/elsewhere", "part.test"),
        "answer_head_too_large": lambda: ask("/fields"),
        "timeout": lambda: ask("/sleep?s=3"),
        "denied_by_address": lambda: ask("/guarded"),
        "rate_limited": lambda: [ask("/often") for _ in range(3)][-1],
        "password": lambda: ask("/locked"),
        "maintenance": lambda: ask("/", "shut.test"),
        "body_too_large": lambda: ask("/cart", method="POST", body=b"x" * (2**20 + 1)),
        "redirect_loop": lambda: [ask("/loop") for _ in range(7)][-1],
        "broken_app": lambda: ask("/broken/"),
        "boot_failed": lambda: ask("/gone/"),
        "worker_died": lambda: ask("/shaky/die", method="POST", body=b"x"),
        "killed": lambda: ask("/calm/shot", method="POST", body=b"x"),
        "deadline": lambda: ask("/late/sleep?s=20", method="POST", body=b"x"),
    }
    with ThreadPoolExecutor(len(cases)) as threads:
        later = {name: threads.submit(case) for name, case in cases.items()}
        scene.send(b"\x16\x03\x01\x00\x05hello\r\n\r\n", port)
        scene.send(b"GET /whose HTTP/1.1\r\nHost: shopp.test\r\n\r\n", port)
        scene.send(b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: shop.test\r\n\r\n", port)
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(b"GET /shaky/sleep?s=2 HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            time.sleep(0.2)  # the client's patience: nginx has passed it on by then, and if not it is a 499 as well
        for name, result in later.items():
            scene.ids[name] = result.result(60)


BY_ID = (
    *("exception", "session_store"),
    *(
        "none",
        "forbidden",
        "own_error",
        "bad_input",
        "method_not_allowed",
        "body_refused",
        "no_such_page",
        "no_such_path",
    ),
    *("answer_head_too_large", "timeout", "denied_by_address", "rate_limited", "password", "maintenance"),
    *("body_too_large", "redirect_loop", "broken_app", "boot_failed", "worker_died", "killed", "deadline"),
)


@pytest.mark.parametrize("cause", BY_ID)
def test_a_cause_is_named_by_the_id_that_the_client_was_given(scene: Scene, cause: str) -> None:
    """The answer says which request it was, error pages of nginx's included."""
    assert scene.ids[cause]

    found = scene.why(scene.ids[cause])

    assert found["cause"] == cause, found


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--last", "444"), "wrong_host"),
        (("--last", "499"), "client_gone"),
        (("--last", "414"), "head_too_large"),
    ],
)
def test_a_cause_is_named_by_status_or_path(scene: Scene, words: tuple[str, ...], cause: str) -> None:
    """For clients that were given nothing."""
    found = scene.why(*words)

    assert found["cause"] == cause, found


def test_all_that_nginx_answered_was_counted(scene: Scene) -> None:
    """Its own count and the datagrams agree, and failures have their causes in the metrics."""
    status = parse_stub_status(ask_status(scene.host.paths.nginx_marker))

    assert status is not None
    url = scene.host.wait_for(lambda found: found["admin"])["admin"]
    address = url.removeprefix("http://").rstrip("/")
    deadline = time.monotonic() + 30
    text = ""
    while 'kirsch_failures_total{cause="wrong_host"} 1.0' not in text and time.monotonic() < deadline:
        line = http.client.HTTPConnection(address, timeout=10)
        line.request("GET", "/metrics")
        text = line.getresponse().read().decode()
        line.close()
        time.sleep(0.1)

    assert 'kirsch_failures_total{cause="wrong_host"} 1.0' in text
    assert 'kirsch_nginx_log_lines_total{fate="dropped"} 0.0' in text
    assert 'kirsch_nginx_requests_total{status="200",upstream_status="200",vhost="shop.test"} 1.0' in text


def test_a_failed_request_is_kept_without_secrets_and_can_be_sent_again(scene: Scene) -> None:
    """It fails again, on a worker that is asked directly; the application's own log lines bear its id."""
    found = scene.why(scene.ids["exception"])
    again = scene.run("replay", scene.ids["exception"])
    listed = scene.run("replay")
    log = "".join(path.read_text() for path in Path(scene.host.paths.log_dir).glob("web.*.log"))

    assert "ValueError: no such jam" in found["sentence"]
    assert "Root.boom" in found["sentence"]
    assert dict(map(tuple, found["evidence"]["capture"]["headers"]))["Authorization"] == "***"
    assert found["evidence"]["capture"]["target"] == "/boom?token=***&q=1"
    assert f"INFO shop [{scene.ids['exception']}] about to fail" in log
    assert again.count(" 500 ") == 2
    assert scene.ids["exception"] in listed
