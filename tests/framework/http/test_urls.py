"""Joining URLs."""

from __future__ import annotations

import pytest

from cherrypy.http.urls import protocol_from_http, urljoin, urljoin_bytes


@pytest.mark.parametrize(
    ("atoms", "joined"),
    [((), "/"), (("", "/"), "/"), (("/a", "/"), "/a/"), (("a", "", "/b/", "c"), "a/b/c"), (("/a//", "//b"), "/a/b")],
)
def test_slashes_are_single(atoms: tuple[str, ...], joined: str) -> None:
    """In text and in bytes."""
    assert urljoin(*atoms) == joined
    assert urljoin_bytes(*(atom.encode() for atom in atoms)) == joined.encode()


def test_versions_are_read() -> None:
    """And nothing that only looks like one."""
    assert protocol_from_http("HTTP/1.1") == (1, 1)
    for wrong in ("HTTP/1", "HTTP/x.y", "", "HTTP/1.\u0661"):
        with pytest.raises(ValueError, match="not an HTTP version"):
            protocol_from_http(wrong)
