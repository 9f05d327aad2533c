"""Asynchronous pages under another server: gunicorn, whose workers are forked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import WAIT_S, Client

SITE = """
import asyncio
import cherrypy

class Root:
    @cherrypy.expose
    async def index(self, name):
        await asyncio.sleep(0)
        return f"hello {name}"

    @cherrypy.expose
    @cherrypy.tools.sse()
    async def events(self):
        for number in range(3):
            await asyncio.sleep(0)
            yield {"number": number}

    @cherrypy.expose
    @cherrypy.tools.websocket()
    async def echo(self, ws):
        await ws.accept()

cherrypy.config.update({"log.screen": False, "environment": "embedded"})
application = cherrypy.Application(Root(), "")
"""


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Give the address of a site under gunicorn."""
    (tmp_path / "asyncsite.py").write_text(SITE)
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        "127.0.0.1:0",
        "--workers",
        "2",
        "--threads",
        "2",
        "--preload",
    ]
    process = subprocess.Popen([*command, "asyncsite:application"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = None
    for line in process.stderr:
        if "Listening at: http://" in line:
            address = line.split("http://")[1].split()[0]
        if "Booting worker" in line:
            break
    assert address is not None
    host, _, port = address.partition(":")
    yield host, int(port)
    process.terminate()
    process.communicate(timeout=WAIT_S)


def test_pages_and_events_work_and_websockets_say_why_not(gunicorn: tuple[str, int]) -> None:
    """Each holds a thread of that server's; each worker has a loop of its own."""
    bodies = set()
    for number in range(6):
        with Client(gunicorn) as client:
            bodies.add(client.get(f"/?name={number}").body)
    with Client(gunicorn) as client:
        events = client.get("/events").body
    with Client(gunicorn) as client:
        refused = client.get("/echo", Upgrade="websocket", Connection="Upgrade")

    assert bodies == {b"hello %d" % number for number in range(6)}
    assert events == b':\n\ndata: {"number":0}\n\ndata: {"number":1}\n\ndata: {"number":2}\n\n'
    assert refused.status == 501
