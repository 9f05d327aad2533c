"""One application under gunicorn, uWSGI, Apache, waitress and wsgiref: embedded by one call, the same everywhere."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .foreign import FORKING, GUNICORN, SINGLE, UWSGI, Site, running, until, what_lacks

FILE = bytes(range(256)) * 1200
COMMANDS = {name: command for name, (command, _) in FORKING.items()} | SINGLE

SHOP = """
import os, threading, time
import cherrypy
from cherrypy.process.plugins import BackgroundTask, Monitor, SimplePlugin

def say(what):
    with open("said", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

class Desk(SimplePlugin):
    def start(self):
        self.pid = os.getpid()
        self.task = BackgroundTask(0.05, self.work)
        self.task.start()
        say("start")
    def work(self):
        say("task")
        self.task.cancel()
    def stop(self):
        self.task.cancel()
        say("stop")
    def exit(self):
        say("exit")

class Root:
    @cherrypy.expose
    def who(self):
        return str(os.getpid())

    @cherrypy.expose
    def state(self):
        engine = cherrypy.engine
        desk_is_here = str(desk.pid == os.getpid())
        return " ".join([str(engine.state), desk_is_here, str(engine.autoreload.thread), str(cherrypy.server.running)])

    @cherrypy.expose
    def echo(self, **fields):
        return ",".join(f"{name}={value}" for name, value in sorted(fields.items()))

    @cherrypy.expose
    def upload(self, file):
        return f"{file.filename} {len(file.file.read())}"

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def stream(self):
        for number in range(5):
            yield f"{number}\\n"

    @cherrypy.expose
    @cherrypy.tools.sessions(storage_type="file", storage_path="sessions", locking="early")
    def count(self):
        cherrypy.session["n"] = cherrypy.session.get("n", 0) + 1
        return f"{cherrypy.session['n']} {os.getpid()}"

    @cherrypy.expose
    def fail(self):
        raise ValueError("the shelf broke")

    @cherrypy.expose
    def note(self):
        cherrypy.log("a note from the page")
        return "noted"

    @cherrypy.expose
    def slow(self, n):
        cherrypy.request.mark = n
        time.sleep(0.05)
        return f"{n} {cherrypy.request.mark} {cherrypy.request.params['n']}"

    @cherrypy.expose
    def restart(self):
        cherrypy.engine.restart()
        return str(cherrypy.engine.state)

desk = Desk(cherrypy.engine)
desk.subscribe()
Monitor(cherrypy.engine, lambda: say("monitor"), frequency=0.1).subscribe()
os.makedirs("sessions", exist_ok=True)
os.makedirs("files", exist_ok=True)
# whole in one step: every worker does this, while others serve the file already
with open(f"files/{os.getpid()}.new", "wb") as file:
    file.write(bytes(range(256)) * 1200)
os.replace(file.name, "files/blob.bin")
static = {"tools.staticdir.on": True, "tools.staticdir.dir": os.path.abspath("files")}
cherrypy.tree.mount(Root(), "/", {"/files": static})
cherrypy.engine.embed()
application = cherrypy.tree
"""


def wherever_there_is(names: Iterable[str]) -> list[Any]:
    """Parameters: the servers of these *names*, some of them skipped with the reason."""
    reasons = {name: what_lacks(COMMANDS[name]) for name in names}
    return [pytest.param(name, marks=pytest.mark.skipif(bool(why), reason=why)) for name, why in reasons.items()]


@pytest.fixture(scope="module", params=wherever_there_is(COMMANDS))
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The shop under each server in turn."""
    with running(COMMANDS[request.param], tmp_path_factory.mktemp("site"), SHOP) as site:
        yield site


@pytest.fixture(params=wherever_there_is(FORKING))
def forking(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, bool]]:
    """The shop under a server with two workers of its own; and True if they are forked from where it was loaded."""
    command, is_preloaded = FORKING[request.param]
    with running(command, tmp_path, SHOP) as site:
        yield site, is_preloaded


def life_of(site: Site, worker: str) -> list[str]:
    """What one process said, without the beats of its clocks."""
    return [line.split()[0] for line in site.said if line.endswith(f" {worker}") and not line.startswith("monitor")]


def test_the_engine_runs_where_requests_are_served(site: Site) -> None:
    """Started in that process; no reloader, no server of ours."""
    assert site.ask("/state").body == b"states.STARTED True None False"


def test_pages_and_forms(site: Site) -> None:
    """Queries, urlencoded and multipart bodies."""
    form = "Content-Type"
    multipart = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' + FILE + b"\r\n--x--\r\n"
    )
    queried = site.ask("/echo?b=2&a=%C3%A9")
    posted = site.ask("/echo", "POST", "a=1&b=2", **{form: "application/x-www-form-urlencoded"})
    uploaded = site.ask("/upload", "POST", multipart, **{form: "multipart/form-data; boundary=x"})

    assert queried.body == "a=é,b=2".encode()
    assert posted.body == b"a=1,b=2"
    assert uploaded.body == f"a.bin {len(FILE)}".encode()


def test_streams(site: Site) -> None:
    """A generator's pieces arrive, whatever the framing."""
    assert site.ask("/stream").body == b"0\n1\n2\n3\n4\n"


def test_requests_of_one_moment_are_kept_apart(site: Site) -> None:
    """By threads, or by greenlets: a page has its own request before and after it was blocked."""
    with ThreadPoolExecutor(4) as clients:  # as many as wsgiref lets wait
        answers = list(clients.map(lambda n: site.ask(f"/slow?n={n}").body.decode(), range(16)))

    assert answers == [f"{n} {n} {n}" for n in range(16)]


def test_head_has_the_length_and_no_body(site: Site) -> None:
    """As of GET."""
    answer = site.ask("/files/blob.bin", "HEAD")

    assert (answer.status, answer.headers["content-length"], answer.body) == (200, str(len(FILE)), b"")


def test_files_whole_and_in_part(site: Site) -> None:
    """By the server's own way of sending files where it has one; a range is a range there, too."""
    whole = site.ask("/files/blob.bin")
    part = site.ask("/files/blob.bin", Range="bytes=1000-1999")
    fresh = site.ask("/files/blob.bin", **{"If-Modified-Since": whole.headers["last-modified"]})

    assert (whole.status, whole.headers["content-length"]) == (200, str(len(FILE)))
    assert whole.body == FILE
    assert (part.status, part.body) == (206, FILE[1000:2000])
    assert fresh.status == 304


def test_files_leave_no_descriptor_behind(site: Site) -> None:
    """The server closes what it was handed."""
    for _ in range(10):
        site.ask("/files/blob.bin")
    worker = site.ask("/who").body.decode()

    def held() -> list[Path]:
        return [one for one in Path(f"/proc/{worker}/fd").iterdir() if "blob.bin" in str(one.resolve())]

    # the client has the last octet a moment before the server closes the file
    until(lambda: not held(), lambda: f"the close of {held()}")

    assert held() == []


def test_errors_reach_the_log_of_the_server(site: Site) -> None:
    """Without a log of its own, the site's errors and notes are in its server's; a page shows no traceback."""
    failed = site.ask("/fail")
    site.ask("/note")

    assert failed.status == 500
    assert b"the shelf broke" not in failed.body
    until(lambda: "a note from the page" in site.screen, lambda: site.screen)
    assert site.screen.count("ValueError: the shelf broke") == 1
    assert "Bus START" not in site.screen


def test_a_restart_is_the_servers_affair(site: Site) -> None:
    """Nothing stops, and the log says who is asked instead."""
    answer = site.ask("/restart")

    assert answer.body == b"states.STARTED"
    until(lambda: "the server that owns it has to do that" in site.screen, lambda: site.screen)


def test_every_worker_lives_its_own_life(forking: tuple[Site, bool]) -> None:
    """Plugins, monitors and tasks start in each worker, without a request, and stop with it; nowhere else."""
    site, is_preloaded = forking
    until(lambda: len({line for line in site.said if line.startswith("monitor")}) == 2, lambda: str(site.said))
    workers = site.workers(2)
    for worker in workers:
        site.wait_until_said(f"task {worker}")
    status = site.stop()

    assert status == 0
    assert {line.split()[1] for line in site.said} == workers
    assert [life_of(site, worker) for worker in workers] == [["start", "task", "stop", "exit"]] * 2
    assert is_preloaded or not re.search("Bus wait", site.screen)
    assert not re.search("Warning|Traceback", site.screen), site.screen


def test_sessions_are_shared_by_workers(forking: tuple[Site, bool]) -> None:
    """Files hold them, whichever worker comes next."""
    site, _ = forking
    site.jar["Cookie"] = site.ask("/count").headers["set-cookie"].split(";")[0]
    served: list[str] = []

    def by_both() -> bool:
        served.append(site.ask("/count").body.decode())
        return len({line.split()[1] for line in served}) == 2

    until(by_both, lambda: str(served))

    assert [int(line.split()[0]) for line in served] == list(range(2, len(served) + 2))


@pytest.mark.parametrize("name", ["gunicorn", "gunicorn threads", "gunicorn preload", "uwsgi", "uwsgi lazy"])
def test_hangup_replaces_the_workers(name: str, tmp_path: Path) -> None:
    """The server's graceful reload: new workers start the engine, the old ones stop it."""
    with running(FORKING[name][0], tmp_path, SHOP) as site:
        old = site.workers(2)
        site.process.send_signal(signal.SIGHUP)
        site.wait_until_said(*(f"exit {worker}" for worker in old))
        until(lambda: _answers_from_others(site, old), lambda: f"others than {old}\n{site.screen}")
        new = site.workers(2) - old
        started = {line.split()[1] for line in site.said if line.startswith("start")}

    assert new <= started
    assert {worker: life_of(site, worker)[-2:] for worker in old | new} == {one: ["stop", "exit"] for one in old | new}


def _answers_from_others(site: Site, old: set[str]) -> bool:
    try:
        return site.ask("/who").body.decode() not in old
    except OSError:  # uWSGI replaces itself
        return False


@pytest.mark.parametrize(
    "command",
    [
        [*GUNICORN, "--preload", "--max-requests", "3", "shop"],
        [*UWSGI, "--master", "-p", "1", "--max-requests", "3", "--min-worker-lifetime", "0"],
    ],
    ids=["gunicorn", "uwsgi"],
)
def test_workers_that_are_recycled(command: list[str], tmp_path: Path) -> None:
    """Every one starts and stops, and no request is lost in between."""
    with running(command, tmp_path, SHOP) as site:
        seen: list[str] = []
        until(lambda: len(set(seen)) > 3 or bool(seen.append(site.ask("/who").body.decode())), lambda: str(seen))
        first_three = list(dict.fromkeys(seen))[:3]
        site.wait_until_said(*(f"exit {worker}" for worker in first_three))

    for worker in first_three:
        life = [what for what in life_of(site, worker) if what != "task"]
        assert life == ["start", "stop", "exit"]


@pytest.mark.parametrize("name", ["gunicorn", "gunicorn threads", "waitress"])
def test_a_body_that_waits_to_be_asked_for(name: str, tmp_path: Path) -> None:
    """``Expect: 100-continue``, where the server knows it."""
    with running(COMMANDS[name], tmp_path, SHOP) as site, site.connect() as sock:
        head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        sock.sendall(f"{head}Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n".encode())
        asked = sock.recv(65536)
        sock.sendall(b"a=1")
        answer = _read(sock)

    assert asked.startswith(b"HTTP/1.1 100")
    assert answer.endswith(b"a=1")


def _read(sock: socket.socket) -> bytes:
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(
    "application",
    [
        "cherrypy.Application(Root(), '')",
        "cherrypy.tree.mount(Root(), '/')",
        "cherrypy.tree",
    ],
)
@pytest.mark.parametrize("command", [[*GUNICORN, "shop"], [*GUNICORN, "shop:make()"], UWSGI], ids=str)
def test_whatever_is_named_as_the_application(application: str, command: list[str], tmp_path: Path) -> None:
    """The tree, one application, one that was mounted, and a factory for each."""
    if command[-1] == "shop:make()":
        source = SHOP.replace("cherrypy.engine.embed()\napplication = cherrypy.tree\n", "")
        source += f"def make():\n    application = {application}\n    cherrypy.engine.embed()\n    return application\n"
    else:
        source = SHOP.replace("application = cherrypy.tree\n", f"application = {application}\n")
    with running(command, tmp_path, source) as site:
        answer = site.ask("/state")

    assert answer.body == b"states.STARTED True None False"


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("cherrypy.engine.embed(); cherrypy.engine.block()", r"block\(\) has no place after embed\(\)"),
        ("cherrypy.engine.start(); cherrypy.engine.embed()", r"Call it instead of start\(\)"),
        (
            "from cherrypy.process.plugins import Daemonizer\n"
            "Daemonizer(cherrypy.engine).subscribe(); cherrypy.engine.embed()",
            "A worker of another server cannot become a daemon",
        ),
    ],
)
def test_mistakes_are_said_when_the_site_is_loaded(mistake: str, says: str, tmp_path: Path) -> None:
    """The server does not begin to serve, and its log says why."""
    source = SHOP.replace(
        "cherrypy.engine.embed()\n", f"cherrypy.config.update({{'server.socket_port': 0}})\n{mistake}\n"
    )
    failure: Any = None
    try:
        with running([*GUNICORN, "shop"], tmp_path, source):
            pass
    except AssertionError as error:
        failure = str(error)

    assert failure is not None
    assert re.search(says, failure), failure


@pytest.mark.skipif(bool(what_lacks(["gevent"])), reason=what_lacks(["gevent"]))
def test_greenlets_that_would_share_a_request_are_refused(tmp_path: Path) -> None:
    """The library is patched in the worker: too late for a site that was loaded before."""
    with running([*GUNICORN, "-k", "gevent", "--preload", "shop"], tmp_path, SHOP) as site:
        refused = site.ask("/who")

    assert refused.status == 500
    assert "Let each worker load the site (gunicorn without --preload)" in site.screen


def test_a_failing_start_is_tried_again(tmp_path: Path) -> None:
    """In a forked worker: the request that finds it broken says so, the next one that finds it mended is served."""
    source = SHOP.replace(
        "cherrypy.engine.embed()",
        "cherrypy.engine.subscribe('start', lambda: open('database').close())\ncherrypy.engine.embed()",
    )
    with running([*GUNICORN, "--preload", "shop"], tmp_path, source) as site:
        broken = site.ask("/who")
        (tmp_path / "database").touch()
        mended = site.ask("/state")

    assert broken.status == 500
    assert "No such file or directory: 'database'" in site.screen
    assert mended.body == b"states.STARTED True None False"


def test_the_access_log_is_the_servers(tmp_path: Path) -> None:
    """And the site's own, in files that are named for it, has each request once."""
    logs = "cherrypy.config.update({'log.access_file': 'own.log', 'log.error_file': 'errors.log'})"
    source = SHOP.replace("cherrypy.engine.embed()", f"{logs}\ncherrypy.engine.embed()")
    with running(FORKING["gunicorn"][0], tmp_path, source) as site:
        site.ask("/fail")
        site.stop()
    own = (tmp_path / "own.log").read_text()

    assert own.count("/fail") == (tmp_path / "access.log").read_text().count("/fail") == 1
    assert "ValueError: the shelf broke" in (tmp_path / "errors.log").read_text()
    assert "ValueError" not in site.screen
