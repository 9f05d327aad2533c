"""Crossing the edge between text and bytes, in the one charset HTTP heads are written in."""

from __future__ import annotations


def to_bytes(text: str, encoding: str = "ISO-8859-1") -> bytes:
    """Encode *text* (``ntob`` of CherryPy).

    Raises:
        TypeError: *text* is not str.
    """
    assert_text(text)
    return text.encode(encoding)


def to_text(text: str, encoding: str = "ISO-8859-1") -> str:
    r"""Return *text* unchanged (``ntou`` of CherryPy); ``encoding='escape'`` turns ``\uXXXX`` in it into characters.

    Raises:
        TypeError: *text* is not str.
    """
    assert_text(text)
    if encoding == "escape":
        return text.encode("latin-1", "backslashreplace").decode("unicode_escape")
    return text


def to_native(value: str | bytes, encoding: str = "ISO-8859-1") -> str:
    """Return *value* as str, decoding bytes (``tonative`` of CherryPy)."""
    return value.decode(encoding) if isinstance(value, bytes) else value


def assert_text(value: object) -> None:
    """Refuse everything but str (``assert_native`` of CherryPy).

    Raises:
        TypeError: *value* is not str.
    """
    if not isinstance(value, str):
        raise TypeError(f"n must be a native str (got {type(value).__name__})")
