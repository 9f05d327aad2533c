"""Who the client is, and where it believes to be: right for applications of four frameworks, however it got there.

One and two proxies, TLS at the first, workers on Unix sockets and on TCP: one stack runs for all of it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kirsch.nginx import Nginx, NginxControl, render_site, survey, worker_user
from kirsch.nginx.binary import find_nginx
from kirsch.spec import HostPaths, Listen, Stack, load_stack

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(180)]

CLIENT = "127.0.0.9"
"""Where the client's connections come from: another address than nginx's own."""
WAYS = [(tiers, worker) for tiers in (1, 2) for worker in ("unix", "tcp")]
APPS = {"shop": "/", "flask": "/flask", "django": "/django", "falcon": "/falcon"}
SEEN = [(way, app) for way in WAYS for app in APPS]
STACK = """
[stack]
name = "trusted"
[app.shop]
entry = "trust_shop_under_test:Root"
[app.flask]
entry = "trust_flask_under_test:app"
mount = "/flask"
[app.django]
entry = "trust_django_under_test:app"
mount = "/django"
[app.falcon]
entry = "trust_falcon_under_test:app"
mount = "/falcon"
[pool.web]
workers = 1
[vhost.main]
names = ["shop.example"]
listen = ["{first}", "{second} tls"]
tls = {{ certificate = "none.pem", key = "none.key" }}
"""
SITES = {
    "shop": """
import cherrypy
class Root:
    @cherrypy.expose
    @cherrypy.tools.json_out()
    def seen(self):
        request = cherrypy.request
        cherrypy.response.cookie["own"] = "1"
        if request.scheme == "https":
            cherrypy.response.cookie["own"]["secure"] = True
        return {"url": cherrypy.url(), "remote": request.remote.ip, "secure": request.scheme == "https"}
    @cherrypy.expose
    def away(self):
        raise cherrypy.HTTPRedirect("/seen")
""",
    "flask": """
from flask import Flask, jsonify, redirect, request, url_for
app = Flask("trust")
@app.get("/seen")
def seen():
    answer = jsonify(url=url_for("seen", _external=True), remote=request.remote_addr, secure=request.is_secure)
    answer.set_cookie("own", "1", secure=request.is_secure)
    return answer
@app.get("/away")
def away():
    return redirect(url_for("seen", _external=True))
""",
    "django": """
from django.conf import settings
settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["shop.example"], ROOT_URLCONF=__name__, SESSION_COOKIE_SECURE=True,
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"])
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponseRedirect, JsonResponse
from django.urls import path, reverse
def seen(request):
    facts = {"url": request.build_absolute_uri(), "remote": request.META["REMOTE_ADDR"], "secure": request.is_secure()}
    answer = JsonResponse(facts)
    answer.set_cookie("own", "1", secure=request.is_secure())
    return answer
def away(request):
    return HttpResponseRedirect(request.build_absolute_uri(reverse("seen")))
urlpatterns = [path("seen", seen, name="seen"), path("away", away)]
app = get_wsgi_application()
""",
    "falcon": """
import falcon
class Seen:
    def on_get(self, req, resp):
        resp.media = {"url": req.uri, "remote": req.remote_addr, "secure": req.scheme == "https"}
        resp.set_cookie("own", "1", secure=req.scheme == "https")
class Away:
    def on_get(self, req, resp):
        raise falcon.HTTPFound(req.prefix + "/seen")
app = falcon.App()
app.add_route("/seen", Seen())
app.add_route("/away", Away())
""",
}
TCP_SITE = """
import sys, cherrypy
import trust_shop_under_test, trust_flask_under_test, trust_django_under_test, trust_falcon_under_test
cherrypy.config.update({"server.socket_port": int(sys.argv[1]), "environment": "production",
                        "server.trusted_proxies": ["127.0.0.1"], "log.access_file": sys.argv[2]})
cherrypy.tree.mount(trust_shop_under_test.Root())
for module in (trust_flask_under_test, trust_django_under_test, trust_falcon_under_test):
    cherrypy.tree.graft(module.app, "/" + module.__name__.split("_")[1])
cherrypy.engine.start()
print("ready", flush=True)
cherrypy.engine.block()
"""


@dataclass
class Running:
    """All of it: each way's ports of the first proxy (plain, TLS), and where its last one and its site log."""

    ports: dict[tuple[int, str], tuple[int, int]]
    logs: dict[str, str]
    site_log: str


@pytest.fixture(scope="module")
def running(started_worker: Any) -> Iterator[Running]:
    """Two sites, an nginx before each, and one more before each of those."""
    nginx = find_nginx()
    with ExitStack() as cleanup:
        folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="kt", dir="/tmp"))
        os.chmod(folder, 0o755)
        for name, text in SITES.items():
            Path(folder, f"trust_{name}_under_test.py").write_text(text)
        ports: dict[tuple[int, str], tuple[int, int]] = {}
        logs = {}
        for kind in ("unix", "tcp"):
            first, second, inner = take(), take(), take()
            file = Path(folder, f"{kind}.toml")
            file.write_text(STACK.format(first=f"127.0.0.1:{first}", second=f"127.0.0.1:{second}"))
            stack = load_stack(file)
            host = cleanup.enter_context(place())
            if kind == "unix":
                behind = start_worker(cleanup, started_worker, folder, stack)
            else:
                behind = start_site(cleanup, folder, take())
            main = stack.vhosts["main"]
            hidden = Listen(address="127.0.0.1", port=inner)
            # one door for strangers, and one for the proxy before, which alone is believed
            door = msgspec.structs.replace(
                main, name="door", listen=(hidden,), tls=None, trusted_proxies=("127.0.0.1",)
            )
            both = msgspec.structs.replace(stack, vhosts={"main": main, "door": door})
            serve(cleanup, nginx, both, host, behind)
            ports[1, kind] = (first, second)
            logs[kind] = host.nginx_access_log
            outer = msgspec.structs.replace(
                main,
                listen=tuple(msgspec.structs.replace(one, port=take()) for one in main.listen),
            )
            edge = msgspec.structs.replace(stack, vhosts={"main": outer})
            serve(cleanup, nginx, edge, cleanup.enter_context(place()), hidden.endpoint)
            ports[2, kind] = (outer.listen[0].port, outer.listen[1].port)
        yield Running(ports, logs, f"{folder}/access.log")


def take() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def place() -> Iterator[HostPaths]:
    """Root and run directory of one nginx, for as long as it lasts."""
    folder = tempfile.mkdtemp(prefix="ke", dir="/tmp")
    os.chmod(folder, 0o711)
    paths = HostPaths(f"{folder}/root", f"{folder}/run")
    for path in (paths.root, paths.run, paths.slots):
        os.makedirs(path)
    yield paths
    shutil.rmtree(folder)


def serve(cleanup: ExitStack, nginx: Nginx, stack: Stack, paths: HostPaths, behind: str) -> None:
    """An nginx for *stack* that sends everything to *behind*."""
    control = NginxControl(paths, nginx, worker_user())
    cleanup.callback(control.stop, 2)
    files = render_site(
        stack,
        paths,
        nginx.version,
        generation=control.next_generation(),
        user=control.user,
        modules=nginx.modules,
        loads=nginx.loads,
        processes=1,
        open_files=512,
        ground=survey(stack, paths),
    )
    slot = f"unix:{paths.slot_socket('web', 1)}"
    assert slot in files["upstreams.conf"]
    files["upstreams.conf"] = files["upstreams.conf"].replace(slot, behind)
    control.apply(files)


def start_worker(cleanup: ExitStack, started_worker: Any, folder: str, stack: Stack) -> str:
    """A worker of the platform's; its socket, as nginx names it."""
    worker = started_worker(folder, tuple(stack.apps.values()))
    cleanup.callback(worker.reports.close)
    cleanup.callback(worker.process.communicate)
    cleanup.callback(worker.process.kill)
    path = worker.ready()
    os.chmod(path, 0o666)
    return f"unix:{path}"


def start_site(cleanup: ExitStack, folder: str, port: int) -> str:
    """A site by itself that trusts nginx's address; its own address."""
    script = Path(folder, "site_of_its_own.py")
    script.write_text(TCP_SITE)
    process = cleanup.enter_context(
        subprocess.Popen([sys.executable, str(script), str(port), f"{folder}/access.log"], stdout=subprocess.PIPE)
    )
    cleanup.callback(process.terminate)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return f"127.0.0.1:{port}"


def ask(port: int, path: str, *, secure: bool) -> tuple[dict[str, str], bytes]:
    """Fields (lower case) and body of an answer to a client that lies about itself, too."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    lies = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n"
    head = f"GET {path} HTTP/1.1\r\nHost: shop.example:{port}\r\nConnection: close\r\n{lies}\r\n"
    line: socket.socket = socket.create_connection(("127.0.0.1", port), 30, source_address=(CLIENT, 0))
    if secure:
        line = context.wrap_socket(line, server_hostname="shop.example")
    with line:
        line.sendall(head.encode())
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    top, _, body = answer.partition(b"\r\n\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (row.partition(":") for row in top.decode().split("\r\n"))
    }
    return fields, body


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
@pytest.mark.parametrize(("way", "app"), SEEN, ids=[f"{tiers}-{worker}-{app}" for (tiers, worker), app in SEEN])
def test_an_application_sees_the_client(running: Running, way: tuple[int, str], app: str, secure: bool) -> None:
    """Its address, absolute links and redirects to where it is, and cookies that stay on TLS where it speaks that."""
    port = running.ports[way][secure]
    mount = APPS[app].rstrip("/")
    base = f"{'https' if secure else 'http'}://shop.example:{port}{mount}"
    fields, body = ask(port, f"{mount}/seen", secure=secure)
    away, _ = ask(port, f"{mount}/away", secure=secure)

    assert json.loads(body) == {"url": f"{base}/seen", "remote": CLIENT, "secure": secure}
    assert ("secure" in fields["set-cookie"].lower()) is secure
    assert away["location"] in (f"{base}/seen", "/seen")


@pytest.mark.parametrize("way", WAYS, ids=[f"{tiers}-{worker}" for tiers, worker in WAYS])
def test_access_logs_name_the_client(running: Running, way: tuple[int, str]) -> None:
    """The last proxy's, and the site's own."""
    target = f"/seen?{way[0]}-{way[1]}"
    ask(running.ports[way][1], target, secure=True)
    told = line_with(running.logs[way[1]], target)

    assert json.loads(told)["client"] == CLIENT
    if way[1] == "tcp":
        assert line_with(running.site_log, target).startswith(f"{CLIENT} - - [")


def line_with(file: str, text: str) -> str:
    """The line of a log, once it is written."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [line for line in Path(file).read_text().splitlines() if text in line]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"{file} has no {text}")
