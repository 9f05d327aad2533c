"""The grammar inside header values."""

from __future__ import annotations

import time

import pytest

from cherrypy.http.elements import (
    RE_HEADER_SPLIT,
    AcceptElement,
    HeaderElement,
    SanitizedHost,
    decode_TEXT,
    decode_TEXT_maybe,
    header_elements,
    parse_header,
    split_quoted,
)
from cherrypy.http.errors import BadHeader


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        ("text/plain", ("text/plain", {})),
        ('form-data; name="a;b"; FileName="x\\"y"; z', ("form-data", {"name": "a;b", "filename": 'x"y'})),
        (" a ; b = c ;d=", ("a", {"b": "c", "d": ""})),
        ("", ("", {})),
        ('a; b="open', ("a", {"b": '"open'})),
    ],
)
def test_parameters_are_taken_apart(line: str, parsed: object) -> None:
    """Quoted strings keep their separators, names lose their case."""
    assert parse_header(line) == parsed


def test_separators_inside_quotes_do_not_split() -> None:
    """Also after an escaped quote."""
    assert list(split_quoted('a="1,\\",2",b', ",")) == ['a="1,\\",2"', "b"]
    assert RE_HEADER_SPLIT.split('a="1,2",b') == ['a="1,2"', "b"]


def test_splitting_is_linear() -> None:
    """SECURITY: a header of quotes and commas must not cost quadratic time."""
    began = time.perf_counter()
    list(split_quoted('",' * 200_000, ","))

    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(("text", "value"), [("a;q=0.5", 0.5), ("a", 1.0), ("a;x=1;Q = .7", 0.7), ("a;q=7", 1.0)])
def test_q_values_are_read(text: str, value: float) -> None:
    """What is above one counts as one."""
    assert AcceptElement.from_str(text).qvalue == value


@pytest.mark.parametrize("text", ["a;q=x", "a;q=nan", "a;q=inf", "a;q=-1", "a;q=", "a;q=.", "a;q=1e3", "a;q=\u0661"])
def test_malformed_q_values_are_told(text: str) -> None:
    """``nan`` would make sorting meaningless, so no float() here."""
    with pytest.raises(BadHeader, match="Malformed HTTP header"):
        _ = AcceptElement.from_str(text).qvalue
    assert BadHeader("x").status == 400


def test_elements_sort_by_preference_then_by_text() -> None:
    """The order that pages see is the same in every run."""
    wanted = header_elements("Accept", "b;q=0.5, a;q=0.5, c, ,d;q=0")

    assert [str(one) for one in wanted] == ["c", "b;q=0.5", "a;q=0.5", "d;q=0"]
    assert header_elements("TE", "trailers;q=0.5, gzip")[0].value == "gzip"
    assert header_elements("Accept", None) == []


def test_elements_read_and_write_themselves() -> None:
    """``str`` gives the element back."""
    element = HeaderElement.from_str('a;b=c;d="e f"')

    assert (element.value, element.params) == ("a", {"b": "c", "d": "e f"})
    assert str(element) == "a;b=c;d=e f"
    assert str(AcceptElement.from_str("a/b;level=1;q=0.5;ext=2")) == "a/b;level=1;q=0.5;ext=2"
    assert HeaderElement("a") == HeaderElement("a")
    assert HeaderElement("a") < HeaderElement("b")


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("=?utf-8?q?f=C3=BCr?=", "f\xfcr"),
        ("=?utf-8?b?ZsO8cg==?= x", "f\xfcr x"),
        ("plain", "plain"),
        ("=?no-such-charset?q?a?=", "=?no-such-charset?q?a?="),
        ("=?utf-8?b?A?=", "=?utf-8?b?A?="),
    ],
)
def test_encoded_words_are_decoded_or_left_alone(sent: str, text: str) -> None:
    """A client's broken word never becomes an exception."""
    assert decode_TEXT(sent) == text
    assert decode_TEXT_maybe(sent) == text


def test_a_host_with_line_ends_is_cleaned_and_remembered() -> None:
    """SECURITY: header injection through an encoded Host."""
    host = SanitizedHost("local\r\nhost")

    assert host == "localhost"
    assert isinstance(host, SanitizedHost)
    assert host.raw == "local\r\nhost"
    assert not isinstance(SanitizedHost("localhost"), SanitizedHost)


@pytest.mark.parametrize("piece", ["=?a?b?A", "=?a?q?", "=?", "=?utf-8?q?a?= ", "=?a?b?A\x85", "=?a?b?=?b?b?="])
@pytest.mark.parametrize("end", ["", "=?utf-8?q?a?=", "\x85=?utf-8?q?a?=", "=?utf-8?q?a?= =?utf-8?q?"])
def test_encoded_words_without_an_end_cost_linear_time(piece: str, end: str) -> None:
    """SECURITY: 32 KiB of beginnings took email's pattern 1.5 seconds."""
    value = piece * (32_000 // len(piece)) + end
    before = time.process_time()
    decode_TEXT_maybe(value)

    assert time.process_time() - before < 0.5


@pytest.mark.parametrize("charset", ["idna", "punycode", "rot13", "no-such", "unicode_escape"])
def test_encoded_words_in_no_charset_stay_as_they_are(charset: str) -> None:
    """SECURITY: some codecs are quadratic, and Python remembers every name that it was ever asked for."""
    value = f"a =?{charset}?q?abc?= b"

    assert decode_TEXT(value) == value


def test_text_around_encoded_words_is_kept() -> None:
    """Blanks between two of them are not."""
    assert decode_TEXT("a =?utf-8?q?b?= =?latin-1?q?c?= d") == "a bc d"


def test_of_equal_elements_the_last_comes_first() -> None:
    """COMPAT: applications take the first of them."""
    elements = header_elements("Content-Type", "a;x=1, b, a;x=2")

    assert [str(one) for one in elements] == ["b", "a;x=2", "a;x=1"]


def test_the_class_of_accept_elements_can_be_another() -> None:
    """The framework's raises answers."""

    class Own(AcceptElement):
        pass

    assert [type(one) for one in header_elements("Accept", "a, b;q=0.1", Own)] == [Own, Own]
    assert type(header_elements("Allow", "GET", Own)[0]) is HeaderElement
