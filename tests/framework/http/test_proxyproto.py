"""PROXY headers of both versions, whole and cut."""

from __future__ import annotations

import pytest

from cherrypy.http.proxyproto import SIGNATURE, Proxied, ProxyHeaderError, parse_proxy_header

V4 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + b"\x12\x67\x00\x50"
V6 = SIGNATURE + b"\x21\x21\x00\x24" + bytes(15) + b"\x01" + bytes(15) + b"\x02" + b"\x12\x67\x00\x50"
GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n", ("192.0.2.1", 4711)),
    (b"PROXY TCP6 2001:db8::1 ::1 4711 80\r\n", ("2001:db8::1", 4711)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n", None),
    (V4, ("192.0.2.1", 4711)),
    (V6, ("::1", 4711)),
    (SIGNATURE + b"\x21\x11\x00\x10" + V4[16:] + b"\x04\x00\x01x", ("192.0.2.1", 4711)),
    (SIGNATURE + b"\x20\x00\x00\x00", None),
    (SIGNATURE + b"\x21\x31\x00\x04abcd", None),
]


@pytest.mark.parametrize(("header", "peer"), GOOD)
def test_headers(header: bytes, peer: tuple[str, int] | None) -> None:
    """Whole, and with a request behind."""
    assert parse_proxy_header(header) == Proxied(peer, len(header))
    assert parse_proxy_header(header + b"GET / HTTP/1.1\r\n") == Proxied(peer, len(header))


@pytest.mark.parametrize(("header", "peer"), GOOD)
def test_cut_headers_wait_for_more(header: bytes, peer: object) -> None:
    """Every beginning may still become one."""
    assert [parse_proxy_header(header[:size]) for size in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\r\nGET",
        b"PROXY\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n",
        b"PROXY TCP4 192.0.2.999 192.0.2.2 4711 80\r\n",
        b"PROXY TCP4 ::1 ::1 4711 80\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 4711 80\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n",
        b"PROXY TCP4  192.0.2.1 192.0.2.2 4711 80\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 4711 80\r\n",
        b"PROXY UNKNOWN " + b"x" * 200,
        SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x44\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\x00\x04" + bytes(12),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_no_headers(data: bytes) -> None:
    """Refused, not guessed at."""
    with pytest.raises(ProxyHeaderError):
        parse_proxy_header(data)
