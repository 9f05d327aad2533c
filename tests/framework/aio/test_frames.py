"""WebSocket frames by hand: what breaks the rules ends the conversation with the code that says so."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.aio.websocket import WebSocket

from .conftest import WAIT_S, Client, Live, rooted

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, RSV1, RSV2 = 0x80, 0x40, 0x20
MASK = b"\x01\x02\x03\x04"
LIMIT = 10_000

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def frame(opcode: int, data: bytes = b"", bits: int = FIN, *, masked: bool = True, length: int | None = None) -> bytes:
    """Return a frame; *length* lies about the data's."""
    size = len(data) if length is None else length
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", bits | opcode, mask_bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", bits | opcode, mask_bit | 126, size)
    else:
        head = struct.pack("!BBQ", bits | opcode, mask_bit | 127, size)
    if not masked:
        return head + data
    return head + MASK + bytes(octet ^ MASK[position % 4] for position, octet in enumerate(data))


class Talker:
    """A client that has done its handshake."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def send(self, *frames: bytes) -> None:
        """Send octets."""
        self.client.sock.sendall(b"".join(frames))

    def receive(self) -> tuple[int, bytes]:
        """Return opcode and data of the next frame."""
        first, second = self.client.file.read(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self.client.file.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.client.file.read(8))
        assert not second & 0x80, "a server must not mask"
        return first & 0x0F, self.client.file.read(size)

    def closing_code(self) -> int:
        """Read up to the farewell; return its code."""
        while True:
            opcode, data = self.receive()
            if opcode == CLOSE:
                return int(struct.unpack("!H", data[:2])[0])


async def echo(ws: WebSocket) -> None:
    """Send back what comes."""
    async for message in ws:
        await ws.send(message)


@pytest.fixture
def talker(live: Live) -> Iterator[Talker]:
    """Give a conversation with an echo that takes messages of LIMIT octets."""
    live.mount(rooted(index=cherrypy.tools.websocket(max_size=LIMIT, close_timeout=0.2)(echo)))
    live.start()
    with live.connect() as client:
        client.ask("/", **HANDSHAKE)
        assert client.reply().status == 101
        yield Talker(client)


def code(number: int, reason: bytes = b"") -> bytes:
    """Return the data of a farewell."""
    return struct.pack("!H", number) + reason


BROKEN: dict[str, tuple[list[bytes], int]] = {
    "no mask": ([frame(TEXT, b"x", masked=False)], 1002),
    "a reserved bit": ([frame(TEXT, b"x", FIN | RSV2)], 1002),
    "a compressed frame that was not agreed upon": ([frame(TEXT, b"x", FIN | RSV1)], 1002),
    "a reserved opcode": ([frame(3, b"x")], 1002),
    "a reserved control opcode": ([frame(11, b"x")], 1002),
    "a ping that is too long": ([frame(PING, b"x" * 126)], 1002),
    "a ping in fragments": ([frame(PING, b"x", 0)], 1002),
    "a continuation of nothing": ([frame(CONTINUATION, b"x")], 1002),
    "a message inside another": ([frame(TEXT, b"x", 0), frame(TEXT, b"y")], 1002),
    "text that is no UTF-8": ([frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80")], 1007),
    "text that ends inside a character": ([frame(TEXT, b"\xce")], 1007),
    "broken text in a later fragment": ([frame(TEXT, b"ok", 0), frame(CONTINUATION, b"\xff")], 1007),
    "a farewell of one octet": ([frame(CLOSE, b"\x03")], 1002),
    "a farewell with a code that must not be sent": ([frame(CLOSE, code(1005))], 1002),
    "a farewell with a code out of range": ([frame(CLOSE, code(999))], 1002),
    "a farewell whose reason is no UTF-8": ([frame(CLOSE, code(1000, b"\xff"))], 1007),
    "a message over the limit": ([frame(BINARY, b"x" * (LIMIT + 1))], 1009),
    "fragments over the limit": ([frame(BINARY, b"x" * 9000, 0), frame(CONTINUATION, b"x" * 9000)], 1009),
    "a frame whose length has its highest bit set": ([b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00" + MASK], 1002),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_rules_ends_with_its_code(talker: Talker, name: str) -> None:
    """And nothing behind it is answered."""
    frames, expected = BROKEN[name]
    talker.send(*frames, frame(TEXT, b"behind"))

    assert talker.closing_code() == expected
    assert talker.client.file.read() == b""


def test_a_huge_frame_is_refused_before_it_has_come(talker: Talker) -> None:
    """The limit counts octets as they come, so that a lie about the length costs nothing."""
    talker.send(frame(BINARY, b"x" * (LIMIT + 4096), length=1 << 40))

    assert talker.closing_code() == 1009


GOOD: dict[str, tuple[list[bytes], list[tuple[int, bytes]]]] = {
    "an empty text": ([frame(TEXT)], [(TEXT, b"")]),
    "empty octets": ([frame(BINARY)], [(BINARY, b"")]),
    "lengths at the borders": (
        [frame(BINARY, b"a" * size) for size in (125, 126, 127, LIMIT)],
        [(BINARY, b"a" * size) for size in (125, 126, 127, LIMIT)],
    ),
    "fragments, empty ones too": (
        [frame(TEXT, b"", 0), frame(CONTINUATION, b"a", 0), frame(CONTINUATION, b"b", 0), frame(CONTINUATION)],
        [(TEXT, b"ab")],
    ),
    "a character over two fragments": ([frame(TEXT, b"\xc3", 0), frame(CONTINUATION, b"\xa9")], [(TEXT, b"\xc3\xa9")]),
    "a ping": ([frame(PING, b"x" * 125)], [(PONG, b"x" * 125)]),
    "a ping between fragments": (
        [frame(TEXT, b"a", 0), frame(PING, b"p"), frame(CONTINUATION, b"b")],
        [(PONG, b"p"), (TEXT, b"ab")],
    ),
    "a pong that nobody asked for": ([frame(PONG, b"x"), frame(TEXT, b"y")], [(TEXT, b"y")]),
    "a farewell with a code of the application's": (
        [frame(CLOSE, code(3000, "für immer".encode()))],
        [(CLOSE, code(3000))],
    ),
    "a farewell without a code": ([frame(CLOSE)], [(CLOSE, code(1000))]),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("is_slow", [False, True], ids=["whole", "octet by octet"])
def test_what_keeps_the_rules_is_answered(talker: Talker, name: str, is_slow: bool) -> None:
    """However the network cuts it."""
    frames, expected = GOOD[name]
    octets = b"".join(frames)
    if is_slow and len(octets) < 1000:
        for position in range(len(octets)):
            talker.send(octets[position : position + 1])
    else:
        talker.send(octets)
    answers = [talker.receive() for _ in expected]

    assert answers == expected


def test_octets_right_behind_the_handshake_count(live: Live) -> None:
    """A client that does not wait for the 101 loses nothing."""
    live.mount(rooted(index=cherrypy.tools.websocket()(echo)))
    live.start()
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "site.test", **HANDSHAKE}.items())
    with live.connect() as client:
        client.sock.sendall(f"GET / HTTP/1.1\r\n{head}\r\n".encode() + frame(TEXT, b"early"))

        assert client.reply().status == 101
        assert Talker(client).receive() == (TEXT, b"early")


def compressed(data: bytes, window: int = 15) -> bytes:
    """Return *data* as a message's compressed octets."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -window)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_a_bomb_is_refused_before_it_goes_off(live: Live) -> None:
    """Compressed octets are counted when they are unpacked, a few at a time."""
    sizes: list[int] = []
    over = threading.Event()

    async def index(ws: WebSocket) -> None:
        async for message in ws:
            sizes.append(len(message))
        over.set()

    live.mount(rooted(index=cherrypy.tools.websocket(max_size=LIMIT)(index)))
    live.start()
    with live.connect() as client:
        client.ask("/", **HANDSHAKE, Sec_WebSocket_Extensions="permessage-deflate")
        handshake = client.reply()
        talker = Talker(client)
        talker.send(frame(BINARY, compressed(b"\0" * LIMIT), FIN | RSV1))
        talker.send(frame(BINARY, compressed(b"\0" * 50_000_000), FIN | RSV1))

        assert handshake.headers["sec-websocket-extensions"] == "permessage-deflate"
        assert talker.closing_code() == 1009
        assert over.wait(WAIT_S)
    assert sizes == [LIMIT]


@pytest.mark.parametrize("octets", [b"\xff\xff\xff", b"\x07" * 40])
def test_broken_compression_is_1007(live: Live, octets: bytes) -> None:
    """What zlib stumbles over is no text."""
    live.mount(rooted(index=cherrypy.tools.websocket()(echo)))
    live.start()
    with live.connect() as client:
        client.ask("/", **HANDSHAKE, Sec_WebSocket_Extensions="permessage-deflate")
        client.reply()
        talker = Talker(client)
        talker.send(frame(TEXT, octets, FIN | RSV1))
        told: Any = talker.closing_code()

    assert told == 1007


def test_a_client_that_floods_does_not_have_the_loop_for_itself(live: Live) -> None:
    """Others get their turn between its frames."""
    done = threading.Event()

    async def other() -> str:
        return "other"

    live.mount(rooted(index=cherrypy.tools.websocket()(echo), other=other))
    live.start()
    pongs = b"".join(frame(PONG, b"x") for _ in range(2000))
    with live.connect() as client:
        client.ask("/", **HANDSHAKE)
        client.reply()

        def flood() -> None:
            while not done.is_set():
                client.sock.sendall(pongs)

        flooding = threading.Thread(target=flood)
        flooding.start()
        bodies = {live.get("/other").body for _ in range(5)}
        done.set()
        flooding.join(WAIT_S)

    assert bodies == {b"other"}


def test_a_page_that_does_not_read_holds_back_its_client(live: Live) -> None:
    """A few messages wait for it; the rest waits in the network, and comes when it reads."""
    go_on = threading.Event()
    numbers: list[bytes] = []
    over = threading.Event()

    def index(ws: Any) -> None:
        ws.accept()
        assert go_on.wait(WAIT_S)
        numbers.extend(ws)
        over.set()

    live.mount(rooted(index=cherrypy.tools.websocket()(index)))
    live.start()
    with live.connect() as client:
        client.ask("/", **HANDSHAKE)
        client.reply()
        talker = Talker(client)
        talker.send(*(frame(BINARY, b"%d" % number) for number in range(500)), frame(CLOSE, code(1000)))
        go_on.set()

        assert over.wait(WAIT_S)
        assert talker.closing_code() == 1000
    assert numbers == [b"%d" % number for number in range(500)]
