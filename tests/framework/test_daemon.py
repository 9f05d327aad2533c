"""The ``cherryd`` command, as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from cherrypy import daemon

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


def test_only_one_gateway(folder: Path) -> None:
    """FastCGI and SCGI at once are refused."""
    done = subprocess.run(
        command(folder, "-f", "-s", "-c", str(folder / "site.conf")), capture_output=True, text=True, timeout=60
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
