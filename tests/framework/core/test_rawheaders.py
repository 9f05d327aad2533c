"""Headers as the native server hands them over."""

from __future__ import annotations

import pytest

from cherrypy.core import rawheaders
from cherrypy.core.rawheaders import RawHeaders, parse_headers


def test_an_encoded_host_loses_its_line_ends() -> None:
    """Header injection through an encoded word is taken apart; ``raw`` keeps what was sent."""
    host = RawHeaders([(b"Host", b"=?iso-8859-1?q?foo=0Abar?=")]).parse()["Host"]

    assert host == "foobar"
    assert host.raw == "foo\nbar"


@pytest.mark.parametrize(
    "word", ["=?utf-8?q?a=3Cscript=3E?=", "=?utf-8?q?a/b?=", "=?utf-8?q?a=40b?=", "=?x-none?q?a?="]
)
def test_an_encoded_word_that_stands_for_no_host_stays_encoded(word: str) -> None:
    """What a page puts into its links never holds more than a host may."""
    assert RawHeaders([(b"Host", word.encode())]).parse()["Host"] == word


@pytest.mark.parametrize("octet", ["0D", "0A", "00", "1B", "7F"])
def test_an_encoded_word_brings_no_control_characters(octet: str) -> None:
    """SECURITY: what the server refuses in a value does not come in by another door."""
    word = f"=?utf-8?q?a={octet}b?="

    assert RawHeaders([(b"X-Forwarded-Host", word.encode())]).parse()["X-Forwarded-Host"] == word


def test_raw_headers_are_pairs_of_text() -> None:
    """Names in their canonical form, values as they came."""
    raw = RawHeaders([(b"x-one", b"1"), (b"X-TWO", b"\xe9")])

    assert (list(raw), len(raw)) == ([("X-One", "1"), ("X-Two", "é")], 2)


@pytest.mark.parametrize(
    ("pairs", "name", "value"),
    [
        ([(b"accept", b"a"), (b"Accept", b"b")], "Accept", "a, b"),
        ([(b"Cookie", b"a=1"), (b"cookie", b"b=2")], "Cookie", "a=1; b=2"),
        ([(b"X", b" \tpadded\t ")], "X", "padded"),
        ([(b"X", b"=?utf-8?b?w6k=?=")], "X", "é"),
        ([(b"X", b"=?utf-8?q?=C3=A9?= and =?iso-8859-1?q?=E9?=")], "X", "é and é"),
        ([(b"X", b"=?none?q?x?=")], "X", "=?none?q?x?="),
        ([(b"Host", b"a.test:80")], "Host", "a.test:80"),
        ([(b"Host", b"a"), (b"Host", b"b")], "Host", "b"),
    ],
)
def test_headers_become_a_map(pairs: list[tuple[bytes, bytes]], name: str, value: str) -> None:
    """Repeated ones are joined, encoded words decoded, blanks trimmed."""
    assert RawHeaders(pairs).parse()[name.lower()] == value


def test_the_clients_address_cannot_be_made_up() -> None:
    """Remote-Addr is what the connection says."""
    raw = RawHeaders([(b"Remote-Addr", b"9.9.9.9")], "1.2.3.4")

    assert raw.parse()["Remote-Addr"] == "1.2.3.4"


def test_many_names_do_not_fill_the_memory() -> None:
    """Clients choose them; the table of names that came before is bounded."""
    for number in range(3000):
        list(RawHeaders([(b"X-%d" % number, b"")]))

    assert len(rawheaders._names) <= rawheaders._NAMES_LIMIT


@pytest.mark.parametrize("order", [1, -1])
def test_pairs_of_a_foreign_server_are_the_same(order: int) -> None:
    """Text already, in whatever case."""
    pairs = [("HOST", "x"), ("X-ONE", "1")][::order]

    assert parse_headers(pairs) == {"Host": "x", "X-One": "1"}


PAIRS = [
    (b"Host", b"a.test"),
    (b"X-Word", b"=?utf-8?b?w6k=?="),
    (b"Cookie", b"a=secret"),
    (b"x-pad", b" b "),
    (b"X", b"x" * 200),
]


def test_fields_that_come_again_are_the_same() -> None:
    """Those that are remembered, and those that are too long, or a secret."""
    rawheaders._fields.clear()
    first, second = (RawHeaders(PAIRS, "192.0.2.1").parse() for _ in range(2))

    assert first == second
    assert first == {**parse_headers(RawHeaders(PAIRS)), "Remote-Addr": "192.0.2.1"}
    assert [name for name, _ in rawheaders._fields] == [b"Host", b"X-Word", b"x-pad"]


def test_few_fields_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients choose them."""
    monkeypatch.setattr(rawheaders, "_FIELDS_LIMIT", 4)
    for number in range(20):
        RawHeaders([(b"X", b"%d" % number)]).parse()

    assert len(rawheaders._fields) <= 4
