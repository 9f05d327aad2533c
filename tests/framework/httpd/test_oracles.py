"""Requests made by Hypothesis, read by us, by h11 and by httptools: one reading wherever the RFCs decide.

The danger is not a refusal but a second opinion: a proxy that sees one request where the server behind it sees another.
So whatever we take must be what the others take it for, and where we refuse what both of them take, or take what one of
them refuses, a rule of docs/behaviour.md says so. The rules are listed here.
"""

from __future__ import annotations

import re

from hypothesis import given, settings

from .oracles import Reading, agree, by_h11, by_httptools, by_us
from .requests import Sent, good_requests, near_misses


def first_line(data: bytes) -> bytes:
    """The request line, without the empty lines before it."""
    return data.lstrip(b"\r\n").split(b"\r\n", 1)[0]


def target(data: bytes) -> bytes:
    """What stands between the first blank and the last one of the request line."""
    return first_line(data).partition(b" ")[2].rpartition(b" ")[0]


def has_malformed_extension(data: bytes) -> bool:
    """True if a chunk's size is followed by anything but extensions as the grammar has them."""
    lines = re.findall(rb"(?im)^[0-9a-f]+([ \t]*;.*?|[ \t]+)\r$", data)
    value = rb"([!#-'*+.^_`|~0-9A-Za-z-]+|\"([^\"\\\x00-\x08\x0a-\x1f\x7f]|\\.)*\")"
    extension = rb"[ \t]*;[ \t]*[!#-'*+.^_`|~0-9A-Za-z-]+([ \t]*=[ \t]*%b)?" % value
    return any(not re.fullmatch(rb"(%b)*" % extension, line) for line in lines)


def has_malformed_host(data: bytes) -> bool:
    """True if a Host field holds anything but a name or an address and a port."""
    values = re.findall(rb"(?im)^host:[ \t]*(.*?)[ \t]*\r$", data)
    return any(not re.fullmatch(rb"([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?", value) for value in values)


#: Of httptools, as far as one change of a good request can make them.
KNOWN_METHODS = {*(b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND", b"LOCK", b"TRACE")}

#: We refuse, both others take: by the number of the promise in docs/behaviour.md.
STRICTER = {
    "1: only HTTP/1 is spoken": lambda data: re.search(rb" HTTP/(?!1\.[0-9]$)", first_line(data)),
    "3: a target is a path, or an http URL with a host": lambda data: (
        not re.match(rb"/|https?://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?([/?]|$)|\*$", target(data))
    ),
    "3: a target has no fragment": lambda data: b"#" in target(data),
    "7: Host is checked": has_malformed_host,
    "8: a chunk's extensions follow their grammar": has_malformed_extension,
    "where a body ends: no Transfer-Encoding in HTTP/1.0": lambda data: (
        first_line(data).endswith(b"/1.0") and re.search(rb"(?im)^transfer-encoding:", data)
    ),
}
#: We take, one or both of them refuse.
BOTH = {
    "3: octets from 0x80 up may stand in a target": lambda data: re.search(rb"[\x80-\xff]", target(data)),
    "8: blanks may stand around a chunk's extensions": lambda data: re.search(
        rb"(?im)^[0-9a-f]+([ \t]*;[^\r\n]*[ \t]|[ \t]+;)", data
    ),
}
#: We take, h11 refuses.
LOOSER_THAN_H11 = {
    **BOTH,
    "4: empty lines before a request line are skipped": lambda data: data.startswith(b"\r\n"),
}
#: We take, httptools refuses.
LOOSER_THAN_HTTPTOOLS = {
    "1: HTTP/1.2 to 1.9 count as 1.1": lambda data: re.search(rb" HTTP/1\.[2-9]$", first_line(data)),
    "2: unknown methods reach the application": lambda data: first_line(data).partition(b" ")[0] not in KNOWN_METHODS,
    **BOTH,
}


def explain(rules: dict[str, object], data: bytes) -> list[str]:
    """Return the rules that apply to *data*."""
    return [name for name, applies in rules.items() if applies(data)]  # type: ignore[operator]


@settings(max_examples=200, deadline=None)
@given(good_requests())
def test_a_good_request_is_read_the_same_by_all(sent: Sent) -> None:
    """Method, target, fields, body, and whether the connection is kept."""
    ours = by_us(sent.data)

    assert isinstance(ours, Reading)
    assert ours.body == sent.body
    assert agree(ours, by_h11(sent.data))
    assert agree(ours, by_httptools(sent.data))


@settings(
    max_examples=1000, deadline=None, derandomize=True
)  # an opinion nobody has listed yet must not come by chance
@given(near_misses())
def test_there_is_no_second_opinion(data: bytes) -> None:
    """What we take is what the others take it for; refusals differ by rule only."""
    ours, h11, httptools = by_us(data), by_h11(data), by_httptools(data)

    if isinstance(ours, Reading):
        if h11 == "refused":
            assert explain(LOOSER_THAN_H11, data)
        else:
            assert agree(ours, h11)
        if httptools == "refused":
            assert explain(LOOSER_THAN_HTTPTOOLS, data)
        else:
            assert agree(ours, httptools)
    elif isinstance(h11, Reading) and agree(h11, httptools):
        assert explain(STRICTER, data)


def test_each_rule_is_needed() -> None:
    """For each rule there is a request on which opinions differ, and only that rule explains it."""
    cases = {
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n": STRICTER,
        b"GET ftp://a/ HTTP/1.0\r\n\r\n": STRICTER,
        b"GET /#a HTTP/1.0\r\n\r\n": STRICTER,
        b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n": STRICTER,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;;a\r\n\r\n": STRICTER,
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": STRICTER,
        b"GET /\xe9 HTTP/1.0\r\n\r\n": LOOSER_THAN_H11,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0 ;a\r\n\r\n": LOOSER_THAN_HTTPTOOLS,
        b"\r\nGET / HTTP/1.0\r\n\r\n": LOOSER_THAN_H11,
        b"GET / HTTP/1.2\r\nHost: a\r\n\r\n": LOOSER_THAN_HTTPTOOLS,
        b"FOO / HTTP/1.0\r\n\r\n": LOOSER_THAN_HTTPTOOLS,
    }
    found = set()
    for data, rules in cases.items():
        applying = explain(rules, data)
        theirs = by_h11(data) if rules is LOOSER_THAN_H11 else by_httptools(data)

        assert len(applying) == 1, data
        assert (by_us(data) == "refused") is (rules is STRICTER), data
        assert (theirs == "refused") is (rules is not STRICTER), data
        found.update(applying)
    assert found == {*STRICTER, *LOOSER_THAN_H11, *LOOSER_THAN_HTTPTOOLS}
