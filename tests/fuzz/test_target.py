"""The fuzzer's properties hold for all its seeds, and would notice what they look for."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import ModuleType

import pytest

from cherrypy.httpd.limits import Limits


@pytest.fixture(scope="module")
def target() -> ModuleType:
    """The module that the fuzzer imports."""
    spec = importlib.util.spec_from_file_location("fuzz_target", Path(__file__).with_name("target.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_seed_holds(target: ModuleType) -> None:
    """All targets over all vectors."""
    seeds = target.seeds()
    for data in seeds.values():
        target.check_connection(data)
        target.check_chunks(data)
        target.check_proxy(data)

    assert len(seeds) > 600


def test_inputs_are_read_as_they_were_written(target: ModuleType) -> None:
    """Any octets are an input; a seed gives back its connection."""
    assert target.unpack(target.pack(b"GET /", [1, 300])) == (b"GET /", [1, 300])
    assert target.unpack(b"") == (b"", [])
    assert target.unpack(b"\x02\x00") == (b"", [0, 0])


def test_a_difference_is_noticed(target: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that depends on the cuts does not pass."""
    monkeypatch.setattr(target, "play", lambda pieces, limits: [("request", len(list(pieces)))])

    with pytest.raises(AssertionError):
        target.check_connection(target.pack(b"GET / HTTP/1.1\r\n", [4]))


FAMILIES = {
    "fields": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"A: b\r\n", b"\r\n"),
    "one long field": (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b" a\t", b"\r\n\r\n"),
    "blanks behind a value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b" ", b"\x01\r\n\r\n"),
    "connection options": (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: ", b"a ,", b"\r\n\r\n"),
    "target": (b"GET /", b"?a/", b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "host": (b"GET / HTTP/1.1\r\nHost: ", b"a.", b"@\r\n\r\n"),
    "authority": (b"GET http://", b"a.", b"@/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "pipelined": (b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    "chunks": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"0\r\n\r\n"),
    "extensions": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0", b" ;a = b", b"@\r\n\r\n"),
    "quoted pairs": (b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;a="', b'\\"', b"\n\r\n"),
    "trailers": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n", b"\r\n"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_time_is_linear(target: ModuleType, family: str) -> None:
    """Sixteen times the input takes about sixteen times as long, with no limit in the way; quadratic would be 256."""
    many = 10**9
    limits = Limits(many, many, many, fields=many, body_bytes=0, chunk_line_bytes=many, trailer_bytes=many)
    before, again, after = FAMILIES[family]

    def cost_s(count: int) -> float:
        data = before + again * count + after
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            target.play([data], limits)
            best = min(best, time.process_time() - start)
        return best

    small = 131072 // len(again) // 16
    assert cost_s(small * 16) < 64 * cost_s(small) + 0.001
