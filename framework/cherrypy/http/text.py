"""Crossing the edge between text and bytes, in the one charset HTTP heads are written in."""

from __future__ import annotations


def to_bytes(n: str, encoding: str = "ISO-8859-1") -> bytes:
    """Encode *n* (``ntob`` of CherryPy).

    Raises:
        TypeError: *n* is not str.
    """
    assert_text(n)
    return n.encode(encoding)


def to_text(n: str, encoding: str = "ISO-8859-1") -> str:
    """Return *n* unchanged, whatever *encoding* is (``ntou`` of CherryPy, from the days of two kinds of text).

    Raises:
        TypeError: *n* is not str.
    """
    assert_text(n)
    return n


def to_native(n: str | bytes, encoding: str = "ISO-8859-1") -> str:
    """Return *n* as str, decoding bytes (``tonative`` of CherryPy)."""
    return n.decode(encoding) if isinstance(n, bytes) else n


def assert_text(n: object) -> None:
    """Refuse everything but str (``assert_native`` of CherryPy).

    Raises:
        TypeError: *n* is not str.
    """
    if not isinstance(n, str):
        raise TypeError(f"n must be a native str (got {type(n).__name__})")
