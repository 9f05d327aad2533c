"""``protocol = "uwsgi"``: real nginx, a real worker, and what an application sees and a client gets."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kirsch.nginx import Nginx, NginxControl, render_site, survey, worker_user
from kirsch.nginx.binary import inspect_nginx
from kirsch.spec import HostPaths, load_stack

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]

HERE = Path(__file__).resolve().parent
SITE = """
import hashlib, json, os, threading, cherrypy
go_on = threading.Event()
def environ_of(environ):
    plain = {key: value for key, value in environ.items() if isinstance(value, str)}
    return plain | {"body": hashlib.sha256(environ["wsgi.input"].read()).hexdigest()}
def shows(environ, start_response):
    data = json.dumps(environ_of(environ)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]
class Root:
    @cherrypy.expose
    def default(self, *words, **arguments):
        request = cherrypy.request
        cherrypy.response.headers["Content-Type"] = "application/json"
        return json.dumps({"words": words, "arguments": arguments, "path": request.path_info, "base": request.base,
                           "remote": request.remote.ip, "id": request.headers["X-Request-ID"]}).encode()
    @cherrypy.expose
    def big(self):
        return b"x" * 3_000_000
    @cherrypy.expose
    def slow(self):
        def pieces():
            yield b"first"
            go_on.wait(30)
            yield b"last"
        return pieces()
    slow._cp_config = {"response.stream": True}
    @cherrypy.expose
    def go(self):
        go_on.set()
        return "ok"
    @cherrypy.expose
    def die(self):
        os._exit(9)
"""
STACK = """
[stack]
name = "spoken"
[app.shop]
entry = "spoken_site_under_test:Root"
[app.shop.routes."/slow"]
kind = "stream"
[app.shop.routes."/up"]
kind = "upload"
[app.shows]
entry = "spoken_site_under_test:shows"
mount = "/shows"
[pool.web]
workers = 2
engine = "uwsgi"
protocol = "uwsgi"
[vhost.main]
listen = ["127.0.0.1:{port}"]
"""


def borrow(name: str, path: Path) -> ModuleType:
    """A module of other tests."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fronted = borrow("kirsch_fronted", HERE / "fronted.py")


@dataclass
class Site:
    """A running nginx before a running worker."""

    port: int
    paths: HostPaths
    worker: Any

    def ask(self, target: str, method: str = "GET", body: Any = None, **fields: str) -> tuple[int, Message, bytes]:
        """One request on a connection of its own; *body* in chunks where it is an iterator."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, target, body, {name.replace("_", "-"): text for name, text in fields.items()})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.headers, data

    def environ(self, target: str = "", *words: Any, **fields: str) -> dict[str, str]:
        """What an application of others finds in its environment."""
        status, _, data = self.ask(f"/shows{target}", *words, **fields)
        assert status == 200
        found: dict[str, str] = json.loads(data)
        return found


@pytest.fixture(scope="module", params=["wheel", "system"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Both versions of nginx; the second of two slots is dead."""
    path = fronted.stages._wheel() if request.param == "wheel" else fronted.stages._system()
    if path is None:
        pytest.skip(f"there is no {request.param} nginx on this machine")
    nginx = inspect_nginx(path)
    assert isinstance(nginx, Nginx)
    folder = tempfile.mkdtemp(prefix="ku", dir="/tmp")
    os.chmod(folder, 0o755)
    paths = HostPaths(f"{folder}/root", f"{folder}/run")
    for made in (paths.root, paths.run, paths.slots):
        os.makedirs(made)
    Path(folder, "spoken_site_under_test.py").write_text(SITE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    file = Path(folder, "kirsch.toml")
    file.write_text(STACK.format(port=port))
    stack = load_stack(file)
    words = {"engine": "uwsgi", "protocol": "uwsgi", "threads": 4}
    worker = fronted.workers.Started(folder, tuple(stack.apps.values()), **words)
    control = NginxControl(paths, nginx, worker_user())
    try:
        socket_path = worker.ready()
        os.chmod(socket_path, 0o666)
        os.symlink(socket_path, paths.slot_socket("web", 1))
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(paths.slot_socket("web", 2))
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
        control.apply(files)
        yield Site(port, paths, worker)
    finally:
        control.stop(timeout_s=2)
        worker.process.kill()
        worker.process.wait()
        worker.reports.close()
        shutil.rmtree(folder)


def test_nothing_that_a_client_says_of_itself_is_believed(site: Site) -> None:
    """The fields that nginx writes are there as over HTTP, in the environment; the others are gone."""
    forged = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Real-IP": "192.0.2.1",
        "X-Request-ID": "forged",
        "Forwarded": "for=192.0.2.1",
        "Proxy": "http://evil.example",
        "X-Script-Name": "/evil",
        "X-Kirsch-Files": "on",
    }
    found = site.environ("/x?y=1", **forged)

    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    assert found["HTTP_HOST"] == f"127.0.0.1:{site.port}"
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("127.0.0.1", str(site.port))
    assert (found["SCRIPT_NAME"], found["PATH_INFO"], found["QUERY_STRING"]) == ("/shows", "/x", "y=1")
    assert found["REQUEST_METHOD"] == "GET"
    assert len(found["HTTP_X_REQUEST_ID"]) == 32
    said = {key for key, value in found.items() if "evil" in value or value in ("192.0.2.1", "forged", "on")}
    assert said == set()
    left = {"HTTP_CONNECTION", "HTTP_CONTENT_LENGTH", "HTTP_FORWARDED", "HTTP_PROXY", "HTTP_TRANSFER_ENCODING"}
    assert not left & set(found)


def test_a_request_has_one_id_on_both_sides(site: Site) -> None:
    """The client's answer bears it once."""
    _, fields, data = site.ask("/")

    assert fields.get_all("X-Request-ID") == [json.loads(data)["id"]]


@pytest.mark.parametrize(
    ("target", "words", "arguments"),
    [
        ("/a%2Fb/c%20d", ["a/b", "c d"], {}),
        ("/B%C3%BCcher?q=%26x&r=a+b", ["Bücher"], {"q": "&x", "r": "a b"}),
        ("/a//b", ["a", "b"], {}),
        ("/%2541", ["%41"], {}),
    ],
)
def test_a_path_means_what_was_sent(site: Site, target: str, words: list[str], arguments: dict[str, str]) -> None:
    """An encoded slash does not separate; nothing is decoded twice."""
    status, _, data = site.ask(target)
    found = json.loads(data)

    assert (status, found["words"], found["arguments"]) == (200, words, arguments)
    assert found["base"] == f"http://127.0.0.1:{site.port}"
    assert found["remote"] == "127.0.0.1"


@pytest.mark.parametrize("target", ["", "/up"])
def test_bodies_arrive_whole(site: Site, target: str) -> None:
    """With a length, in chunks, large, empty; by POST to a dead slot first, too."""
    large = os.urandom(3_000_000)
    bodies = [b"", b"a body", large]
    seen = [site.environ(target, "POST", body) for body in bodies]
    chunked = site.environ(target, "POST", iter([large[:1000], large[1000:]]))

    assert [found["body"] for found in seen] == [hashlib.sha256(body).hexdigest() for body in bodies]
    assert [found["CONTENT_LENGTH"] for found in seen[1:]] == [str(len(body)) for body in bodies[1:]]
    assert chunked["body"] == hashlib.sha256(large).hexdigest()
    assert chunked["CONTENT_LENGTH"] == str(len(large))
    assert all(site.environ(target, "POST", b"x")["REQUEST_METHOD"] == "POST" for _ in range(8))


def test_answers_arrive_whole(site: Site) -> None:
    """Large ones, and none to HEAD."""
    status, fields, data = site.ask("/big")
    head = site.ask("/big", "HEAD")

    assert (status, len(data), fields["Content-Length"]) == (200, 3_000_000, "3000000")
    assert (head[0], head[1]["Content-Length"], head[2]) == (200, "3000000", b"")


def test_a_stream_arrives_as_it_is_made(site: Site) -> None:
    """Its route says so; what comes first is there while the rest is not."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request("GET", "/slow")
    answer = connection.getresponse()
    first = answer.read(5)
    assert site.ask("/go")[2] == b"ok"
    rest = answer.read()
    connection.close()

    assert (first, rest) == (b"first", b"last")


def test_health_is_hidden_and_errors_are_pages(site: Site) -> None:
    """As over HTTP; a worker that is gone is a 502, and the next request is told to come again."""
    assert site.ask("/readyz")[0] == 404
    status, fields, _ = site.ask("/die", "POST", b"")

    assert status == 502
    assert fields["Retry-After"] == "5"
