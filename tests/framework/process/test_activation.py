"""Sockets that a service manager has bound: LISTEN_PID and LISTEN_FDS."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

APPLICATION = """
import os, sys
import cherrypy

class Root:
    @cherrypy.expose
    def index(self):
        # The first requests are served while the bus is still starting; an exit then would end the process with 70.
        cherrypy.engine.wait(cherrypy.engine.states.STARTED)
        return f"{os.getpid()} {'AGAIN' in os.environ}"

    @cherrypy.expose
    def again(self):
        os.environ["AGAIN"] = "1"
        cherrypy.engine.subscribe("after_request", cherrypy.engine.restart)
        return ""

cherrypy.config.update({"server.socket_port": 1, "engine.autoreload.on": False, "log.screen": False})
cherrypy.tree.mount(Root())
cherrypy.engine.signals.subscribe()
cherrypy.engine.start()
cherrypy.engine.block()
"""

# What a service manager does between fork and exec.
MANAGER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ.update([sys.argv[2].split("=")])
os.execv(sys.executable, [sys.executable, "website.py"])
"""


def read(port: int, path: str = "/") -> str:
    """A page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("variables", ["LISTEN_FDS=1", "LISTEN_FDNAMES=http"])
def test_a_bound_socket_is_taken_over_also_by_the_process_anew(tmp_path: Path, variables: str) -> None:
    """With LISTEN_FDS, and with LISTEN_PID alone, which is all that CherryPy reads; ``server.socket_port`` is not."""
    (tmp_path / "website.py").write_text(APPLICATION)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, number = listening.getsockname()[1], listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", MANAGER, str(number), variables], cwd=tmp_path, pass_fds=[number]
        )
        try:
            first = read(port)
            read(port, "/again")
            second = first
            deadline = time.monotonic() + 20
            while second == first and time.monotonic() < deadline:
                with contextlib.suppress(ConnectionError, http.client.HTTPException):  # accepted by the one that leaves
                    second = read(port)
        finally:
            process.terminate()
            status = process.wait(20)

    assert first == f"{process.pid} False"
    assert second == f"{process.pid} True"
    assert status == 0
