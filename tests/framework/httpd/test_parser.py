"""The head parser fed with junk and with near misses: it answers or refuses, and never does anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cherrypy.http.bodyerrors import BodyError
from cherrypy.httpd.chunks import ChunkDecoder
from cherrypy.httpd.errors import Refusal
from cherrypy.httpd.limits import Limits
from cherrypy.httpd.message import Message
from cherrypy.httpd.parser import check_partial_head, parse_head

LIMITS = Limits()
PIECES = [
    b"GET",
    b"POST",
    b" ",
    b"/",
    b"*",
    b"http://a",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"\r\n",
    b"\n",
    b"\r",
    b":",
    b"Host: a",
]
PIECES += [
    b"Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Connection: close",
    b"\t",
    b"\0",
    b"\xff",
    b"a",
    b"_",
    b"%",
]
near_misses = st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)
heads = st.one_of(st.binary(max_size=80), near_misses, near_misses.map(b"GET / HTTP/1.1\r\nHost: a\r\n".__add__))


@given(heads)
def test_a_head_gives_a_clean_message_or_a_refusal(head: bytes) -> None:
    """What gets through has no control octet anywhere, one framing, and one Host."""
    try:
        message = parse_head(head, LIMITS)
    except Refusal:
        return

    text = message.method + message.target + message.path + message.query
    octets = text.encode("latin-1") + b"".join(name + value for name, value in message.headers)
    names = [name.lower() for name, _ in message.headers]
    assert not any(octet < 9 or 9 < octet < 32 or octet == 127 for octet in octets)
    assert names.count(b"host") <= 1
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert not any(b"_" in name for name in names)


@given(heads)
def test_a_partial_head_is_accepted_or_refused(head: bytes) -> None:
    """And no beginning of a good head is refused."""
    try:
        message: Message | None = parse_head(head, LIMITS)
    except Refusal:
        message = None
    for size in range(len(head)):
        try:
            check_partial_head(head[:size], LIMITS)
        except Refusal:
            assert message is None


@given(
    st.lists(
        st.sampled_from([b"5", b"a", b";", b"=", b'"', b"\r\n", b"\n", b"\r", b"0", b"hello", b"x: y"]), max_size=25
    )
)
def test_chunks_decode_or_fail_the_same_however_they_are_cut(pieces: list[bytes]) -> None:
    """Whole and octet by octet agree on data, end and rest."""

    def decode(parts: list[bytes]) -> object:
        decoder = ChunkDecoder(LIMITS)
        out = b""
        try:
            for position, part in enumerate(parts):
                out += decoder.feed(part)
                if decoder.done:
                    return out, decoder.take_rest() + b"".join(parts[position + 1 :])
        except BodyError:
            return "malformed"
        return out

    data = b"".join(pieces)

    assert decode([data]) == decode([data[index : index + 1] for index in range(len(data))])


def test_a_line_is_judged_the_same_when_it_comes_again() -> None:
    """The tables of known lines hold only what passed."""
    for _ in range(2):
        with pytest.raises(Refusal):
            parse_head(b"GET / HTTP/1.1\r\nHost: a b", LIMITS)
        assert parse_head(b"GET / HTTP/1.1\r\nHost: a", LIMITS).headers == [(b"Host", b"a")]


def test_the_tables_are_bounded() -> None:
    """Lines that never come again do not pile up."""
    from cherrypy.httpd import parser

    for number in range(5000):
        parse_head(b"GET /%d HTTP/1.1\r\nHost: a\r\nX: %d\r\nCookie: secret-%d" % (number, number, number), LIMITS)

    assert len(parser._request_lines) <= 2048
    assert len(parser._field_lines) <= 2048
    assert not any(line.startswith(b"Cookie") for line in parser._field_lines)


def test_an_encoded_host_passes_only_where_it_was_asked_for() -> None:
    """What one server lets through is not remembered for another one."""
    head = b"GET / HTTP/1.1\r\nHost: =?utf-8?q?a=0Ab?="
    lenient = Limits(accept_encoded_host=True)

    for _ in range(2):
        assert parse_head(head, lenient).headers == [(b"Host", b"=?utf-8?q?a=0Ab?=")]
        with pytest.raises(Refusal, match="400"):
            parse_head(head, Limits())


@pytest.mark.parametrize(
    "host", [b"=?utf-8?q?a b?=", b"=?utf-8?q?a<b?=", b"=?utf-8?x?a?=", b"=?a?=", b"a?b", b"=?u?q?a?=,"]
)
def test_hardly_encoded_hosts_are_refused(host: bytes) -> None:
    """Only a single encoded word of harmless octets passes, and nothing else that holds a question mark."""
    with pytest.raises(Refusal, match="400"):
        parse_head(b"GET / HTTP/1.1\r\nHost: " + host, Limits(accept_encoded_host=True))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /a\0b HTTP/1.1", 404),
        (b"GET /a\0b\x01 HTTP/1.1", 400),
        (b"GET /a\x01b HTTP/1.1", 400),
        (b"G\0T /a HTTP/1.1", 400),
        (b"GET /a\0b HTTP/1.1 x", 400),
    ],
)
def test_a_nul_in_the_target_may_have_a_status_of_its_own(line: bytes, status: int) -> None:
    """Refused either way; everything else that is malformed stays 400."""
    with pytest.raises(Refusal, match=str(status)):
        parse_head(line + b"\r\nHost: a", Limits(nul_status=404))
    with pytest.raises(Refusal, match="400"):
        parse_head(line + b"\r\nHost: a", Limits())
