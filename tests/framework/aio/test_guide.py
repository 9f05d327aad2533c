"""The programs in docs/async.md: they run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

import cherrypy

from .conftest import WAIT_S, Live

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "async.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def programs(live: Live, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that serves the guide's program of that number."""
    monkeypatch.setattr(cherrypy, "tree", live.tree)
    monkeypatch.setattr(cherrypy, "quickstart", live.mount)

    def serve(number: int) -> Live:
        exec(compile(PROGRAMS[number], str(GUIDE), "exec"), {"__name__": "guide"})
        return live.start()

    return serve


def test_the_first_page(programs: Any) -> None:
    """A coroutine that sleeps for a second."""
    assert programs(0).get("/?name=you").body == b"Hello, you!"


def test_the_stream(programs: Any) -> None:
    """Ten numbers."""
    assert programs(1).get("/").body == b"".join(b"%d\n" % number for number in range(10))


def test_the_events(programs: Any) -> None:
    """From where the client was."""
    with programs(2).connect() as client:
        client.ask("/ticks", Last_Event_ID="7")
        seen = b""
        while b'{"tick":8}\n\n' not in seen:
            seen += client.file.read1(1000)

    assert b"retry: 2000\n\n" in seen
    assert b'id: 8\ndata: {"tick":8}\n\n' in seen


def test_the_chat(programs: Any) -> None:
    """What one says, both hear."""
    live = programs(3)
    base = f"ws://127.0.0.1:{live.port}/join"
    options: dict[str, Any] = {"subprotocols": ["chat.v1"], "open_timeout": WAIT_S}
    with connect(f"{base}?name=ann", **options) as ann, connect(f"{base}?name=bob", **options) as bob:
        bob.send("here")
        first = bob.recv(WAIT_S)
        ann.send("hello")
        heard = [ann.recv(WAIT_S), ann.recv(WAIT_S), bob.recv(WAIT_S)]

    assert first == "bob: here"
    assert heard == ["bob: here", "ann: hello", "ann: hello"]


def test_the_graft(programs: Any) -> None:
    """Beside a page."""
    live = programs(4)

    assert live.get("/").body == b"a page"
    assert live.get("/hello").body == b"an ASGI application"


def test_all_programs_are_tried() -> None:
    """Another one needs a test."""
    assert len(PROGRAMS) == 5
