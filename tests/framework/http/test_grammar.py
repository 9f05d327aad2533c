"""The byte patterns, with what they refuse."""

from __future__ import annotations

import time

import pytest

from cherrypy.http import grammar


@pytest.mark.parametrize("line", [b"A: b", b"A:b", b"A:\t b \t", b"a!#$%&'*+-.^_`|~9: x", b"A:", b"A: \xe9"])
def test_field_lines(line: bytes) -> None:
    """A name and a trimmed value."""
    assert grammar.parse_field_line(line) == (line.split(b":")[0], line.split(b":", 1)[1].strip(b" \t"))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"A",
        b": b",
        b"A : b",
        b" A: b",
        b"A\t: b",
        b"A(: b",
        b"A: b\r",
        b"A: \0",
        b"A: \x0b",
        b"A: \x7f",
        b"\xe9: b",
    ],
)
def test_no_field_lines(line: bytes) -> None:
    """Refused, not repaired."""
    assert grammar.parse_field_line(line) is None


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (b"0", 0),
        (b"0042", 42),
        (b"", None),
        (b"+1", None),
        (b"-1", None),
        (b"1_0", None),
        (b" 1", None),
        (b"1\n", None),
        (b"\xb2", None),
        (b"9" * 18, 10**18 - 1),
        (b"9" * 19, None),
    ],
)
def test_lengths(value: bytes, length: int | None) -> None:
    """Digits only, bounded."""
    assert grammar.parse_length(value) == length


@pytest.mark.parametrize(
    ("line", "size"),
    [
        (b"0", 0),
        (b"fF", 255),
        (b"5;a", 5),
        (b'5;a=b;c="d;\\""', 5),
        (b"5 ; a = b", 5),
        (b"", None),
        (b"0x5", None),
        (b"5;", None),
        (b"5;=b", None),
        (b'5;a="', None),
        (b"5 5", None),
        (b"-5", None),
        (b"5\n", None),
        (b"1" * 17, None),
    ],
)
def test_chunk_lines(line: bytes, size: int | None) -> None:
    """Size and extensions to the letter."""
    assert grammar.parse_chunk_line(line) == size


@pytest.mark.parametrize(
    "host",
    [b"a", b"a.example:80", b"1.2.3.4", b"[::1]", b"[::1]:8080", b"a:", b"a:65535", b"a%2Db", b"xn--bcher-kva.example"],
)
def test_hosts(host: bytes) -> None:
    """Names and addresses, with a port or without."""
    assert grammar.is_valid_host(host)


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b":80",
        b"a b",
        b"a/b",
        b"u@a",
        b"a,b",
        b"a:b",
        b"a:123456",
        b"a:65536",
        b"[::1",
        b"::1",
        b"a\n",
        b"<a>",
        b"a?",
        b"\xe9",
        b"a%",
        b"a%4",
        b"a%zz",
    ],
)
def test_no_hosts(host: bytes) -> None:
    """Nothing that could be taken for a path, a list or a user."""
    assert not grammar.is_valid_host(host)


def test_tokens() -> None:
    """Lower-case, without blanks and empty members."""
    assert grammar.parse_tokens(b"Keep-Alive, ,\tTE ,") == [b"keep-alive", b"te"]


@pytest.mark.parametrize(
    "attack",
    [
        lambda: grammar.parse_chunk_line(b"5" + b";a" * 30_000 + b"\0"),
        lambda: grammar.parse_chunk_line(b'5;a="' + b"\\a" * 30_000),
        lambda: grammar.parse_field_line(b"A:" + b" " * 60_000 + b"\0"),
        lambda: grammar.is_valid_host(b"a" * 60_000 + b"\0"),
        lambda: grammar.REQUEST_LINE.fullmatch(b"A" * 60_000),
        lambda: grammar.ABSOLUTE.fullmatch(b"http://" + b"a" * 60_000 + b"\0"),
    ],
)
def test_patterns_run_in_linear_time(attack: object) -> None:
    """60 kB that almost match take no time."""
    start = time.perf_counter()
    attack()  # type: ignore[operator]

    assert time.perf_counter() - start < 0.1
