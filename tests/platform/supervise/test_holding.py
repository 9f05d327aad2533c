"""The holding server: requests wait for a worker, for a bounded time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kirsch.link import uwsgi
from kirsch.spec import HostPaths
from kirsch.supervise import holding
from kirsch.supervise.holding import HoldingServer
from kirsch.supervise.holdings import Holdings
from kirsch.supervise.process import is_dying


async def ask(path: str, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


class FakeWorker:
    """Answers every request with what it read, and closes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.heads: list[bytes] = []

    async def start(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self.serve, self.path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        body = await reader.readexactly(5) if b"Content-Length: 5" in head else b""
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        writer.close()


def test_a_request_waits_for_the_first_worker(tmp_path: Path) -> None:
    """It is held, then passed on with its body, and the connection is told to close."""

    async def scene() -> tuple[bytes, list[bytes]]:
        found: list[str] = []
        server = HoldingServer(str(tmp_path / "h"), lambda: found[0] if found else None)
        worker = FakeWorker(str(tmp_path / "w"))
        await server.start()
        listening = await worker.start()
        asked = asyncio.create_task(ask(server.path, b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"))
        while not server.held:
            await asyncio.sleep(0)
        found.append(worker.path)
        answer = await asked
        listening.close()
        await server.stop()
        return answer, worker.heads

    answer, heads = asyncio.run(scene())

    assert answer.endswith(b"\r\n\r\nhello")
    assert heads == [b"POST /x HTTP/1.1\r\nConnection: close\r\nHost: h\r\nContent-Length: 5\r\n\r\n"]
    assert not (tmp_path / "h").exists()


def test_patience_ends_in_503(tmp_path: Path) -> None:
    """With Retry-After and a page for people."""

    async def scene() -> tuple[bytes, int]:
        server = HoldingServer(str(tmp_path / "h"), lambda: None, hold_s=0.05)
        await server.start()
        answer = await ask(server.path, b"GET / HTTP/1.1\r\n\r\n")
        await server.stop()
        return answer, server.refused

    answer, refused = asyncio.run(scene())

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5\r\n" in answer
    assert refused == 1


def test_too_many_are_refused_at_once(tmp_path: Path) -> None:
    """The queue is bounded; who comes beyond it does not wait at all."""

    async def scene() -> bytes:
        server = HoldingServer(str(tmp_path / "h"), lambda: None, hold_s=60, limit=0)
        await server.start()
        answer = await ask(server.path, b"GET / HTTP/1.1\r\n\r\n")
        await server.stop()
        return answer

    assert asyncio.run(scene()).startswith(b"HTTP/1.1 503 ")


def test_a_switch_of_protocols_keeps_its_connection_field(tmp_path: Path) -> None:
    """A WebSocket's handshake is passed on as it is."""

    async def scene() -> list[bytes]:
        worker = FakeWorker(str(tmp_path / "w"))
        server = HoldingServer(str(tmp_path / "h"), lambda: worker.path)
        await server.start()
        listening = await worker.start()
        await ask(server.path, b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        listening.close()
        await server.stop()
        return worker.heads

    assert asyncio.run(scene()) == [b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"]


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a worker does that is killed: it takes the request, and says nothing."""
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


def test_a_worker_that_died_unnoticed_is_not_the_end(tmp_path: Path) -> None:
    """Nothing was sent to a socket that refuses: the request, of any method, goes to the next worker."""

    async def scene() -> bytes:
        worker = FakeWorker(str(tmp_path / "w"))
        found = [str(tmp_path / "gone"), worker.path]
        server = HoldingServer(str(tmp_path / "h"), lambda: found.pop(0))
        await server.start()
        listening = await worker.start()
        answer = await ask(server.path, b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
        listening.close()
        await server.stop()
        return answer

    assert asyncio.run(scene()).endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(
    ("request_", "is_answered"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", False),
    ],
    ids=["GET", "POST", "GET with a body"],
)
def test_what_died_with_its_worker_is_asked_again_if_it_may(tmp_path: Path, request_: bytes, is_answered: bool) -> None:
    """A worker that takes a request and dies may have done it; only safe ones go to the next."""

    async def scene() -> tuple[bytes, int]:
        worker = FakeWorker(str(tmp_path / "w"))
        found = [str(tmp_path / "dying"), worker.path]
        server = HoldingServer(str(tmp_path / "h"), lambda: found.pop(0))
        await server.start()
        dying = await asyncio.start_unix_server(hang_up, found[0])
        listening = await worker.start()
        answer = await ask(server.path, request_)
        dying.close()
        listening.close()
        await server.stop()
        return answer, len(worker.heads)

    answer, heads = asyncio.run(scene())

    assert answer.startswith(b"HTTP/1.1 200 ") is is_answered
    assert heads == int(is_answered)


def test_a_request_that_kills_its_worker_does_not_kill_them_all(tmp_path: Path) -> None:
    """It is asked twice, no more."""

    async def scene() -> int:
        killed = 0

        async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal killed
            killed += 1
            await hang_up(reader, writer)

        server = HoldingServer(str(tmp_path / "h"), lambda: str(tmp_path / "w"))
        await server.start()
        listening = await asyncio.start_unix_server(die, str(tmp_path / "w"))
        await ask(server.path, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        listening.close()
        await server.stop()
        return killed

    assert asyncio.run(scene()) == 2


def test_a_client_that_says_nothing_harms_nobody(tmp_path: Path) -> None:
    """A connection without a whole head is dropped."""

    async def scene() -> bytes:
        server = HoldingServer(str(tmp_path / "h"), lambda: None, hold_s=0.05)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(server.path)
        writer.write(b"GET / HT")
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await server.stop()
        return answer

    assert asyncio.run(scene()) == b""


LISTENS = """
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.bind(sys.argv[1])
line.listen()
print(flush=True)
input()
"""


def test_a_worker_on_its_way_out_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket accepts as long as the kernel takes the process apart: a POST waits for a living one instead."""

    async def scene(dying: str) -> bytes:
        worker = FakeWorker(str(tmp_path / "w"))
        found = [dying, worker.path]
        server = HoldingServer(str(tmp_path / "h"), lambda: found.pop(0))
        await server.start()
        listening = await worker.start()
        answer = await ask(server.path, b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
        listening.close()
        await server.stop()
        return answer

    path = str(tmp_path / "dying")
    command = [sys.executable, "-c", LISTENS, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        monkeypatch.setattr(holding, "is_dying", lambda pid: pid == process.pid)
        answer = asyncio.run(scene(path))
        process.kill()

    assert answer.endswith(b"\r\n\r\nhello")


def test_who_is_killed_is_dying_before_anybody_has_noticed() -> None:
    """From the signal on, and until its parent has heard of it; who lives is not, and nobody is nobody."""
    with subprocess.Popen(["sleep", "60"]) as process:
        before = is_dying(process.pid)
        process.kill()
        after = is_dying(process.pid)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        as_zombie = is_dying(process.pid)

    assert not before
    assert after
    assert as_zombie
    assert is_dying(process.pid)


def test_requests_are_shown_to_the_living_in_turn(tmp_path: Path) -> None:
    """Whoever is dying is passed over; none is left when all are."""

    def worker(socket: str, pid: int) -> Any:
        return SimpleNamespace(socket=socket, pid=pid)

    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        serving = [worker("a", ended.pid), worker("b", os.getpid()), worker("c", os.getppid())]
        fleet = SimpleNamespace(serving=lambda: serving, is_paused=False)
        fleets: Any = {"web": fleet}
        rundir: Any = None
        holdings = Holdings(HostPaths(root=str(tmp_path), run=str(tmp_path)), rundir, fleets)
        found = [holdings._find_worker("web") for _ in range(4)]
        del serving[1:]
        none_left = holdings._find_worker("web")

    assert found == ["b", "c", "b", "c"]
    assert none_left is None


def test_the_uwsgi_protocol_waits_too(tmp_path: Path) -> None:
    """By its first octet; it is passed on as it came, with its body, since each has a connection of its own."""
    get = uwsgi.ask("/x", {"Host": "h"})
    post = uwsgi.pack(uwsgi.unpack(get) | {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "5"})
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(len(post) + 5))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        writer.close()

    async def scene() -> tuple[bytes, bytes]:
        found: list[str] = []
        server = HoldingServer(str(tmp_path / "h"), lambda: found[0] if found else None, hold_s=10)
        await server.start()
        listening = await asyncio.start_unix_server(serve, str(tmp_path / "w"))
        asked = asyncio.create_task(ask(server.path, post + b"a bod"))
        while not server.held:
            await asyncio.sleep(0)
        found.append(str(tmp_path / "w"))
        answer = await asked
        found.clear()
        server.hold_s = 0.05
        refused = await ask(server.path, get)
        listening.close()
        await server.stop()
        return answer, refused

    answer, refused = asyncio.run(scene())

    assert answer.endswith(b"hello")
    assert got == [post + b"a bod"]
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert (holding.is_repeatable(get), holding.is_repeatable(post)) == (True, False)
