"""Header maps: names in any case, values encoded safely."""

from __future__ import annotations

import pytest

from cherrypy.http.headers import CaseInsensitiveDict, HeaderMap


def test_names_are_title_cased_on_the_way_in_and_on_every_look_up() -> None:
    """One entry for all spellings of a name."""
    headers = HeaderMap({"content-type": "a"}, ETAG="b")
    headers["CONTENT-TYPE"] = "c"

    assert list(headers.items()) == [("Content-Type", "c"), ("Etag", "b")]
    assert headers["content-Type"] == headers.get("CONTENT-type") == headers.setdefault("content-type", "x") == "c"
    assert "etag" in headers
    assert headers.has_key("eTag")
    assert headers.pop("ETag") == "b"
    assert headers.pop("etag", None) is None
    del headers["content-type"]
    assert not headers


def test_odd_names_become_text() -> None:
    """``None`` and bytes are names as CherryPy makes them."""
    assert CaseInsensitiveDict({None: 1, b"x-y": 2}) == {"None": 1, "X-Y": 2}
    assert CaseInsensitiveDict.transform_key("a-b") == "A-B"


def test_copies_and_unions_keep_class_and_attributes() -> None:
    """A copied map is still a map of headers."""
    headers = HeaderMap(a="1")
    headers.protocol = (1, 0)

    assert type(headers.copy()) is HeaderMap
    assert headers.copy().protocol == (1, 0)
    assert (headers | {"B": "2"}) == {"A": "1", "B": "2"}
    assert ({"b": "2", "a": "0"} | headers) == {"B": "2", "A": "1"}
    assert HeaderMap.fromkeys(["x"], "1") == {"X": "1"}
    assert headers.matching_key_for("a") == "A"
    with pytest.raises(KeyError):
        headers.matching_key_for("b")


def test_the_table_of_names_is_bounded() -> None:
    """SECURITY: clients choose header names; remembering all of them would fill the memory."""
    headers = HeaderMap()
    for number in range(5000):
        headers.get(f"x-{number}")

    from cherrypy.http import headers as module

    assert len(module._titles) <= module._TABLE_LIMIT


def test_output_drops_what_could_split_the_response() -> None:
    """SECURITY: response splitting (CWE-113)."""
    headers = HeaderMap({"X-A\r\n": "b\r\nSet-Cookie: evil=1\x00", "X-B": b"c\r\nd", "X-C": 3})

    assert headers.output() == [(b"X-A", b"bSet-Cookie: evil=1"), (b"X-B", b"cd"), (b"X-C", b"3")]


@pytest.mark.parametrize(
    ("value", "wire"),
    [("plain", b"plain"), ("f\xfcr", b"f\xfcr"), ("\u20ac", b"=?utf-8?b?4oKs?=")],
)
def test_values_are_latin_1_or_one_encoded_word(value: str, wire: bytes) -> None:
    """Every text has exactly one form on the wire."""
    assert HeaderMap.encode(value) == wire


def test_without_encoded_words_a_foreign_value_is_refused() -> None:
    """An HTTP/1.0 client knows no RFC 2047 words."""

    class Old(HeaderMap):
        protocol = (1, 0)

    with pytest.raises(ValueError, match="Could not encode header part"):
        Old({"A": "\u20ac"}).output()


def test_elements_and_values_come_most_wanted_first() -> None:
    """``values`` takes the name of a field, unlike dict's, and leaves parameters out."""
    headers = HeaderMap({"Accept": "text/html;level=1;q=0.3, */*", "Allow": "GET, HEAD"})

    assert headers.values("accept") == ["*/*", "text/html"]
    assert [str(one) for one in headers.elements("accept")] == ["*/*", "text/html;level=1;q=0.3"]
    assert headers.values("allow") == ["HEAD", "GET"]
    assert headers.elements("missing") == []
