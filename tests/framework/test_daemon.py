"""The ``cherryd`` command, as a process."""

from __future__ import annotations

import inspect
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

import cherrypy
from cherrypy import daemon
from cherrypy.process.wspbus import Bus, ChannelFailures

APPLICATION = """
import os
import cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        return cherrypy.request.app.config["/"]["greeting"]

    @cherrypy.expose
    def pid(self):
        return str(os.getpid())

cherrypy.tree.mount(Root())
"""

CONFIG = """
[global]
server.socket_port = 0
engine.autoreload.on = False
log.screen = {screen}
log.error_file = {log!r}
[/]
greeting = "hello from a file"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An application, and a configuration with a free port."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "webapp.py").write_text(APPLICATION)
    (tmp_path / "site.conf").write_text(CONFIG.format(screen=True, log=str(tmp_path / "error.log")))
    return tmp_path


def wait_for(file: Path, pattern: str, timeout_s: float = 20) -> re.Match[str]:
    """The match of *pattern* in *file*, once it is there."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = re.search(pattern, file.read_text()) if file.exists() else None
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(file.read_text() if file.exists() else f"no {file}")


def read(url: str) -> str:
    """A page."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def command(folder: Path, *options: str) -> list[str]:
    """``python -m cherrypy`` with the application, from any folder."""
    return [sys.executable, "-m", "cherrypy", "-P", str(folder / "shop"), "-i", "webapp", *options]


def test_it_imports_configures_and_serves(folder: Path) -> None:
    """The file is the site's and the only application's; SIGTERM ends it with 0."""
    process = subprocess.Popen(
        command(folder, "-c", str(folder / "site.conf"), "-p", str(folder / "pid")), cwd="/", stderr=subprocess.DEVNULL
    )
    try:
        url = wait_for(folder / "error.log", r"Serving on (http://\S+)").group(1)
        wait_for(folder / "error.log", "Bus STARTED")

        assert read(url) == "hello from a file"
        assert (folder / "pid").read_text() == f"{process.pid}\n"
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(20)
    assert status == 0
    assert not (folder / "pid").exists()


def test_it_becomes_a_daemon(folder: Path) -> None:
    """The command returns at once with 0; the daemon obeys signals."""
    (folder / "site.conf").write_text(CONFIG.format(screen=False, log=str(folder / "error.log")))

    done = subprocess.run(
        command(folder, "-d", "-c", str(folder / "site.conf"), "-p", str(folder / "pid")),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    url = wait_for(folder / "error.log", r"Serving on (http://\S+)").group(1)
    wait_for(folder / "error.log", "Bus STARTED")
    pid = int((folder / "pid").read_text())
    try:
        assert read(f"{url}/pid") == str(pid)
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_for(folder / "error.log", "Bus EXITED")


def test_a_failed_start_is_status_1(folder: Path) -> None:
    """With the reason in the log."""
    (folder / "shop" / "webapp.py").write_text(
        "import cherrypy\ndef failing():\n    raise ValueError('not today')\n"
        "cherrypy.engine.subscribe('start', failing)\n"
    )

    done = subprocess.run(
        command(folder, "-c", str(folder / "site.conf")), capture_output=True, text=True, timeout=60, cwd=folder
    )

    assert done.returncode == 1
    assert "ValueError: not today" in done.stderr
    assert "Bus EXITED" in done.stderr


def test_a_daemon_that_fails_is_status_1(folder: Path) -> None:
    """Whoever started it sees that; CherryPy's command said 0, and nothing ran."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = CONFIG.format(screen=False, log=str(folder / "error.log"))
        port = f"socket_port = {taken.getsockname()[1]}"
        (folder / "site.conf").write_text(text.replace("socket_port = 0", port))
        done = subprocess.run(
            command(folder, "-d", "-c", str(folder / "site.conf")), capture_output=True, text=True, timeout=60
        )

    assert done.returncode == 1
    assert "The daemon could not start; its log says why." in done.stderr
    wait_for(folder / "error.log", "Bus EXITED")


def test_an_environment_is_applied(folder: Path) -> None:
    """Production is silent on the screen."""
    process = subprocess.Popen(
        command(folder, "-c", str(folder / "site.conf"), "-e", "production"), stderr=subprocess.PIPE, text=True
    )
    wait_for(folder / "error.log", "Bus STARTED")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)

    assert "Bus STARTED" not in said
    assert process.returncode == 0


@pytest.mark.parametrize("pair", [["-f", "-s"], ["-s", "-x"], ["-f", "-x"]])
def test_only_one_gateway(folder: Path, pair: list[str]) -> None:
    """Two ways to serve at once are refused."""
    done = subprocess.run(
        command(folder, *pair, "-c", str(folder / "site.conf")), capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert "You may only specify one of the cgi, fastcgi, and scgi options." in done.stderr


def test_options_repeat() -> None:
    """Files, modules and folders in order."""
    options = daemon.parser().parse_args(
        ["-c", "a", "--config", "b", "-i", "m", "--import", "n", "-P", "p", "--Path", "q", "-e", "staging"]
    )

    assert (options.config, options.imports, options.path) == (["a", "b"], ["m", "n"], ["p", "q"])
    assert options.environment == "staging"


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ([], "daemonize", False),
        (["-d"], "daemonize", True),
        (["-e", "production"], "environment", "production"),
        (["--environment=production"], "environment", "production"),
        (["-f"], "fastcgi", True),
        (["-s"], "scgi", True),
        (["-x"], "cgi", True),
        (["-p", "/run/site.pid"], "pidfile", "/run/site.pid"),
        (["--pidfile", "/run/site.pid"], "pidfile", "/run/site.pid"),
        (["--conf=a"], "configfiles", ["a"]),
        (["-i", "webapp", "word", "-c", "a", "other"], "imports", ["webapp"]),
    ],
)
def test_every_option_reaches_start(
    monkeypatch: pytest.MonkeyPatch, words: list[str], name: str, value: object
) -> None:
    """Words that are no options are left to the application, as CherryPy does."""
    called: list[inspect.BoundArguments] = []
    signature = inspect.signature(daemon.start)
    monkeypatch.setattr(daemon, "start", lambda *args: called.append(signature.bind(*args)))

    daemon.run(words)

    assert called[0].arguments[name] == value
    assert len(called[0].arguments) == 8


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With status 2, and the usage."""
    with pytest.raises(SystemExit) as caught:
        daemon.run(["-Z"])

    assert caught.value.code == 2
    assert "usage: cherryd" in capsys.readouterr().err


def test_folders_come_first_in_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one given is the first, behind the current folder."""
    monkeypatch.setattr(sys, "path", ["/lib"])
    monkeypatch.setattr(daemon, "start", lambda *args: sys.path.insert(0, ""))

    daemon.run(["-P", "/one", "--Path", "/two"])

    assert sys.path == ["", "/two", "/one", "/lib"]


class Site:
    """A stand-in for the package, which notes what is done to it."""

    Application = cherrypy.Application

    def __init__(self, done: list[object]) -> None:
        self.engine = Bus()
        self.engine.signals = SimpleNamespace(subscribe=lambda: done.append("signals"))
        self.engine.start = lambda: done.append(("start", sorted(self.plugins())))
        self.engine.block = lambda: done.append("block")
        self.config = SimpleNamespace(update=lambda config: done.append(("config", config)))
        self.app = cherrypy.Application(None)
        self.app.merge = lambda config: done.append(("merge", config))
        self.tree = SimpleNamespace(apps={"": self.app})
        self.server = SimpleNamespace(
            bind_addr=("127.0.0.1", 4000), unsubscribe=lambda: done.append("server unsubscribed")
        )

    def plugins(self) -> set[str]:
        listeners = (listener for of_channel in self.engine.listeners.values() for listener in of_channel)
        return {type(listener.__self__).__name__ for listener in listeners}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What ``start`` does, in its order."""
    noted: list[object] = []
    monkeypatch.setattr(sys, "path", ["/lib"])
    monkeypatch.setattr(daemon, "importlib", SimpleNamespace(import_module=lambda name: noted.append(("import", name))))
    monkeypatch.setattr(daemon, "cherrypy", Site(noted))
    return noted


def test_the_order_of_a_start(done: list[object]) -> None:
    """Imports, files, environment, daemon, pid file, signals, engine; each file for site and application."""
    daemon.start(["a.conf", "b.conf"], True, "production", pidfile="/run/x.pid", imports=["shop", "blog"])

    assert sys.path == ["", "/lib"]
    assert done == [
        ("import", "shop"),
        ("import", "blog"),
        ("config", "a.conf"),
        ("merge", "a.conf"),
        ("config", "b.conf"),
        ("merge", "b.conf"),
        ("config", {"environment": "production"}),
        ("config", {"log.screen": False}),
        "signals",
        ("start", ["Daemonizer", "PIDFile"]),
        "block",
    ]


def test_without_options_nothing_is_added(done: list[object]) -> None:
    """All parameters have defaults."""
    daemon.start()

    assert done == ["signals", ("start", []), "block"]


def test_files_are_merged_only_into_the_one_application(done: list[object]) -> None:
    """With two it cannot be told whose they are; a foreign WSGI callable has no configuration."""
    apps = daemon.cherrypy.tree.apps
    apps["/two"] = apps[""]
    daemon.configure("a.conf")
    apps.clear()
    apps[""] = lambda environ, start_response: []
    daemon.configure("b.conf")

    assert done == [("config", "a.conf"), ("config", "b.conf")]


@pytest.mark.parametrize(
    ("option", "made", "options"),
    [
        ("fastcgi", "FlupFCGIServer", {"bindAddress": ("127.0.0.1", 4000)}),
        ("scgi", "FlupSCGIServer", {"bindAddress": ("127.0.0.1", 4000)}),
        ("cgi", "FlupCGIServer", {}),
    ],
)
def test_a_gateway_takes_the_place_of_the_server(
    done: list[object], option: str, made: str, options: dict[str, object]
) -> None:
    """At its address, for the same site, and without the autoreloader: the process is the web server's."""
    daemon.start(**{option: True})

    (start,) = daemon.cherrypy.engine.listeners["start"]
    gateway = start.__self__.httpserver
    assert ("config", {"engine.autoreload.on": False}) in done
    assert "server unsubscribed" in done
    assert type(gateway).__name__ == made
    assert gateway.kwargs == {"application": daemon.cherrypy.tree, **options}


def test_a_start_that_fails_is_status_1_in_short(done: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bus has logged why; nobody blocks."""

    def fail() -> None:
        raise ChannelFailures("port taken")

    monkeypatch.setattr(daemon.cherrypy.engine, "start", fail)

    with pytest.raises(SystemExit) as caught:
        daemon.start()

    assert caught.value.code == 1
    assert "block" not in done


def test_a_taken_port_is_status_1_with_its_cure(folder: Path) -> None:
    """In the log: host, port, and the key to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = (folder / "site.conf").read_text().replace("socket_port = 0", f"socket_port = {port}")
        (folder / "site.conf").write_text(text)
        done = subprocess.run(
            command(folder, "-c", str(folder / "site.conf")), capture_output=True, text=True, timeout=60
        )

    assert done.returncode == 1
    assert f"Port {port} not free on '127.0.0.1'" in done.stderr
    assert "server.socket_port; 0 takes any free one" in done.stderr


def test_the_command_has_its_documented_name() -> None:
    """The console script, and ``python -m cherrypy``."""
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]

    assert scripts["cherryd"] == "cherrypy.daemon:main"
    assert daemon.main is daemon.run
    assert runpy.run_module("cherrypy.__main__", run_name="imported")["run"] is daemon.run
