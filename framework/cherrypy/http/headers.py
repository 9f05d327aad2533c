"""Header fields as an application handles them: names in any case, values as text, list values as elements.

Law: pure. ``HeaderMap`` is made for every response, so its constructor is dict's own and names are title-cased by
one lookup in a table.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from typing import Any, Self

from cherrypy.http.elements import (
    AcceptElement,
    HeaderElement,
    SanitizedHost,
    decode_TEXT,
    decode_TEXT_maybe,
    header_elements,
    parse_header,
)

__all__ = [
    "AcceptElement",
    "CaseInsensitiveDict",
    "HeaderElement",
    "HeaderMap",
    "SanitizedHost",
    "decode_TEXT",
    "decode_TEXT_maybe",
    "header_elements",
    "header_translate_deletechars",
    "header_translate_table",
    "parse_header",
]

# What never leaves in a header: control characters, CR and LF before all.
# SECURITY: response splitting (CWE-113); an application may put a query parameter into a header.
header_translate_table = None
header_translate_deletechars = bytes(range(32)) + bytes([127])

_TABLE_LIMIT = 2048


class _TitleCase(dict[Any, str]):
    """Name -> Title-Cased-Name, filled on demand and bounded, since clients choose the names."""

    def __missing__(self, name: Any) -> str:
        if isinstance(name, bytes):
            name = name.decode("ISO-8859-1")
        titled = str(name).title()
        if len(self) < _TABLE_LIMIT:
            self[name] = titled
        return titled


class _EncodedName(dict[str, bytes]):
    """Title-cased name -> bytes on the wire, bounded like ``_TitleCase``."""

    def __missing__(self, name: str) -> bytes:
        encoded = name.encode("ISO-8859-1", "replace").translate(None, header_translate_deletechars)
        if len(self) < _TABLE_LIMIT:
            self[name] = encoded
        return encoded


_titles = _TitleCase()
_names = _EncodedName()


class CaseInsensitiveDict(dict[str, Any]):
    """A dict whose keys are Title-Cased on the way in and on every look-up.

    >>> CaseInsensitiveDict({'content-type': 'text/plain'})
    {'Content-Type': 'text/plain'}
    """

    def __init__(self, source: Any = None, /, **kwargs: Any) -> None:
        # PERF: made for every response, nearly always empty; dict's own constructor has nothing to do then
        if source is not None or kwargs:
            self.update(source or (), **kwargs)

    @staticmethod
    def transform_key(key: Any) -> str:
        """Return the stored form of *key*: Title-Case, ``None`` becomes ``'None'``."""
        return _titles[key]

    def __getitem__(self, key: Any) -> Any:
        return dict.__getitem__(self, _titles[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        dict.__setitem__(self, _titles[key], value)

    def __delitem__(self, key: Any) -> None:
        dict.__delitem__(self, _titles[key])

    def __contains__(self, key: Any) -> bool:
        return dict.__contains__(self, _titles[key])

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of *key*, or *default*."""
        return dict.get(self, _titles[key], default)

    def has_key(self, key: Any) -> bool:
        """True when *key* is present (CherryPy keeps this old name)."""
        return dict.__contains__(self, _titles[key])

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value of *key*, set to *default* if it has none."""
        return dict.setdefault(self, _titles[key], default)

    def pop(self, key: Any, *default: Any) -> Any:
        """Remove *key* and return its value, or *default* if one is given."""
        return dict.pop(self, _titles[key], *default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take in another mapping, or pairs."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> Self:  # type: ignore[override]
        self.update(other)
        return self

    def __or__(self, other: Any) -> Self:  # type: ignore[override]
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: Any) -> Self:  # type: ignore[override]
        merged = type(self)(other)
        merged.update(self)
        return merged

    def copy(self) -> Self:
        """A shallow copy of the same class, attributes included."""
        duplicate = type(self)()
        dict.update(duplicate, self)
        duplicate.__dict__.update(self.__dict__)
        return duplicate

    @classmethod
    def fromkeys(cls, keys: Iterable[Any], value: Any = None) -> Self:  # type: ignore[override]
        """A map that gives *value* to each of *keys*."""
        return cls(dict.fromkeys(keys, value))

    def matching_key_for(self, key: Any) -> str:
        """The stored key that *key* means.

        Raises:
            KeyError: there is none.
        """
        title = _titles[key]
        if not dict.__contains__(self, title):
            raise KeyError(key)
        return title


class HeaderMap(CaseInsensitiveDict):
    """Header fields of a request or a response.

    Attributes:
        protocol: HTTP version of the message, ``(1, 1)``.
        encodings: charsets tried, in order, for a value that is not ASCII; only ISO-8859-1 is safe to send.
        use_rfc_2047: encode what no charset of *encodings* can as one ``=?utf-8?b?...?=`` word (HTTP/1.1 only).
    """

    protocol: tuple[int, int] = (1, 1)
    encodings: list[str] = ["ISO-8859-1"]
    use_rfc_2047 = True

    def elements(self, key: Any) -> list[HeaderElement]:
        """The comma-separated elements of the field *key*, most wanted first; [] when it is absent."""
        title = self.transform_key(key)
        return header_elements(title, self.get(title))

    def values(self, key: Any) -> list[str]:  # type: ignore[override]
        """The elements of the field *key* without their parameters (CherryPy's signature: not dict's ``values()``).

        >>> HeaderMap({'Accept': 'text/html;q=0.5, */*'}).values('Accept')
        ['*/*', 'text/html']
        """
        return [element.value for element in self.elements(key)]

    def output(self) -> list[tuple[bytes, bytes]]:
        """All fields as pairs of bytes, ready for the wire."""
        return self.encode_header_items(self.items())

    @classmethod
    def encode_header_items(
        cls, header_items: Iterable[tuple[Any, Any]] | Mapping[Any, Any]
    ) -> list[tuple[bytes, bytes]]:
        """Encode pairs of name and value, dropping control characters from both."""
        pairs = header_items.items() if isinstance(header_items, Mapping) else header_items
        encode = cls.encode_header_item
        # PERF: a printable ASCII value, which nearly all are, holds nothing to drop (4 fields: 2.1 -> 1.5 us)
        return [
            (
                _names[name] if type(name) is str else encode(name),
                value.encode() if type(value) is str and value.isascii() and value.isprintable() else encode(value),
            )
            for name, value in pairs
        ]

    @classmethod
    def encode_header_item(cls, item: Any) -> bytes:
        """Encode one name or value: text by ``encode``, bytes as they are, anything else through ``str``."""
        if not isinstance(item, bytes):
            if not isinstance(item, str):
                item = str(item)
            item = item.encode("ascii") if item.isascii() else cls.encode(item)
        return item.translate(None, header_translate_deletechars)  # type: ignore[no-any-return]

    @classmethod
    def encode(cls, v: str) -> bytes:
        """Encode a value in the first charset of ``encodings`` that can, else as one RFC 2047 word.

        >>> HeaderMap.encode('\u20ac')
        b'=?utf-8?b?4oKs?='

        Raises:
            ValueError: no charset fits, and RFC 2047 words are off.
        """
        for encoding in cls.encodings:
            try:
                return v.encode(encoding)
            except UnicodeEncodeError:
                continue
        if cls.protocol == (1, 1) and cls.use_rfc_2047:
            return b"=?utf-8?b?" + b2a_base64(v.encode("utf-8"), newline=False) + b"?="
        raise ValueError(f"Could not encode header part {v!r} using any of the encodings {cls.encodings!r}.")
