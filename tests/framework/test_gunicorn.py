"""An embedded site under a real server that forks its workers."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

APPLICATION = """
import os
import cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        return f"{cherrypy.engine.state} {os.getpid()} {cherrypy.engine.autoreload.thread}"

def say(what):
    with open("said", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

cherrypy.tree.mount(Root())
cherrypy.engine.subscribe("start", lambda: say("start"))
cherrypy.engine.subscribe("stop", lambda: say("stop"))
cherrypy.engine.embed()
application = cherrypy.tree
"""


def read(path: Path) -> str:
    """The page, once the server is there."""
    deadline = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(path))
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["loaded in the worker", "loaded before the fork"])
def test_gunicorn_serves_an_embedded_site(tmp_path: Path, options: list[str]) -> None:
    """Every worker starts its own bus and stops it at the end; nothing is written to the screen."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "gunicorn", *options, "-w", "1", "-b", "unix:socket", "shop:application"]
    environ = {**os.environ, "HOME": str(tmp_path)}  # newer releases have a control socket there
    process = subprocess.Popen(
        [*command, "--log-level", "error"],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        state, worker, reloader = read(tmp_path / "socket").split()
    finally:
        process.terminate()
        said_on_screen, _ = process.communicate(timeout=60)
    life = [f"{what} {worker}" for what in ("start", "stop")]
    said = (tmp_path / "said").read_text().splitlines()

    assert (state, reloader) == ("states.STARTED", "None")
    assert int(worker) != process.pid
    assert [line for line in said if line.endswith(f" {worker}")] == life
    assert {line for line in said if not line.endswith(f" {worker}")} == set()
    assert not re.search("Warning|Traceback", said_on_screen), said_on_screen
    assert process.returncode == 0
