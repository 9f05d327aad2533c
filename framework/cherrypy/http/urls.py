"""Joining the pieces of URLs, and the version in a request line."""

from __future__ import annotations


def urljoin(*atoms: str) -> str:
    """Join path pieces with single slashes; '' becomes '/'.

    >>> urljoin('/blog', '', '/2026/')
    '/blog/2026/'
    """
    url = "/".join([atom for atom in atoms if atom])
    while "//" in url:
        url = url.replace("//", "/")
    return url or "/"


def urljoin_bytes(*atoms: bytes) -> bytes:
    """Join path pieces in bytes; see ``urljoin``."""
    url = b"/".join([atom for atom in atoms if atom])
    while b"//" in url:
        url = url.replace(b"//", b"/")
    return url or b"/"


def protocol_from_http(protocol_str: str) -> tuple[int, int]:
    """Read the version of a request line.

    >>> protocol_from_http('HTTP/1.1')
    (1, 1)

    Raises:
        ValueError: not of the form HTTP/digit.digit.
    """
    major, dot, minor = protocol_str[5:].partition(".")
    if not dot or not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        raise ValueError(f"not an HTTP version: {protocol_str!r}")
    return int(major), int(minor)
