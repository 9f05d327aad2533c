"""Headers as the native server hands them over."""

from __future__ import annotations

import pytest

from cherrypy.core.rawheaders import RawHeaders


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
