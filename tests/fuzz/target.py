"""What the fuzzer asks of the parser and the chunk reader; also run over every seed by the ordinary suite.

An input is a number of cuts, that many places, and the octets of a connection. Properties: nothing but refusals comes
out; it does not matter where the input is cut; the time is linear.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from cherrypy.http.bodyerrors import BodyError
from cherrypy.http.proxyproto import Proxied, ProxyHeaderError, parse_proxy_header
from cherrypy.httpd.chunks import ChunkDecoder
from cherrypy.httpd.limits import Limits

HERE = Path(__file__).resolve().parent
# the fuzzer runs outside of pytest, which would find these by itself
sys.path.append(str(HERE.parent / "framework"))

from httpd.vectors import load  # noqa: E402
from httpd.wire import Event, cut, play  # noqa: E402

sys.path.pop()

#: Low, so that short inputs reach them.
LIMITS = Limits(
    request_line_bytes=256,
    field_bytes=256,
    head_bytes=1024,
    fields=16,
    body_bytes=4096,
    chunk_line_bytes=64,
    trailer_bytes=128,
)
#: Time granted to one input; a quadratic reader of 64 KiB would need seconds, a linear one needs milliseconds.
ALLOWED_S = 0.25
_MOST_CUTS = 8


def pack(data: bytes, places: list[int]) -> bytes:
    """Make a fuzzer's input of a connection's octets and the places where it is cut."""
    return bytes([len(places)]) + b"".join(place.to_bytes(2, "big") for place in places) + data


def unpack(given: bytes) -> tuple[bytes, list[int]]:
    """Read an input; every string of octets is one."""
    count = given[0] % (_MOST_CUTS + 1) if given else 0
    places = [int.from_bytes(given[start : start + 2], "big") for start in range(1, 1 + 2 * count, 2)]
    return given[1 + 2 * count :], places


def seeds() -> dict[str, bytes]:
    """Return {file name: input} for every vector, uncut and cut in the middle."""
    made = {}
    for number, case in enumerate(load()):
        made[f"{number:04d}"] = pack(case.send, [])
        made[f"{number:04d}-cut"] = pack(case.send, [len(case.send) // 2])
    return made


def outline(events: list[Event]) -> list[Event]:
    """What must not depend on the cuts: an input with several errors may be refused for another one of them."""
    return [event if event[0] == "request" else ("refused",) for event in events]


def check_connection(given: bytes) -> None:
    """Read a connection whole and in pieces.

    Raises:
        AssertionError: the two differ, or it takes too long.
    """
    data, places = unpack(given)
    start = time.process_time()
    whole = outline(play([data], LIMITS))
    pieces = outline(play(cut(data, places), LIMITS))
    spent_s = time.process_time() - start

    assert whole == pieces, (whole, pieces, data, places)
    if spent_s > ALLOWED_S:  # once more: the machine may have been busy
        start = time.process_time()
        play([data], LIMITS)
        assert time.process_time() - start < ALLOWED_S, (spent_s, len(data))


def check_chunks(given: bytes) -> None:
    """Decode a chunked body whole, in pieces, and octet by octet.

    Raises:
        AssertionError: they differ.
    """
    data, places = unpack(given)
    whole = _decode([data])

    assert whole == _decode(cut(data, places)), (data, places)
    assert whole == _decode([data[place : place + 1] for place in range(min(len(data), 4096))]) or len(data) > 4096, (
        data
    )


def check_proxy(given: bytes) -> None:
    """Read a PROXY header from every beginning of the input: an answer once given stands.

    Raises:
        AssertionError: more octets change what fewer have decided.
    """
    data, _ = unpack(given)
    whole = _read_proxy(data)
    for size in range(min(len(data), 300)):
        found = _read_proxy(data[:size])

        assert found in (None, whole), (found, whole, data[:size])


def _read_proxy(data: bytes) -> Proxied | str | None:
    try:
        found = parse_proxy_header(data)
    except ProxyHeaderError:
        return "refused"
    assert found is None or found.size <= len(data)
    return found


def _decode(pieces: list[bytes]) -> tuple[bytes, list[tuple[bytes, bytes]], bytes] | str:
    decoder = ChunkDecoder(LIMITS)
    out = b""
    for number, piece in enumerate(pieces):
        try:
            out += decoder.feed(piece)
        except BodyError:
            return "refused"
        if decoder.done:
            return out, decoder.trailers, decoder.take_rest() + b"".join(pieces[number + 1 :])
    return "incomplete"
