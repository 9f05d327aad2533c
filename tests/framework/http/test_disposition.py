"""Content-Disposition."""

from __future__ import annotations

import pytest

from cherrypy.http.disposition import content_disposition


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.txt", 'attachment; filename="a.txt"'),
        ("f\xfcr.txt", "attachment; filename=\"fur.txt\"; filename*=UTF-8''f%C3%BCr.txt"),
        ('a"b\\c', 'attachment; filename="a\\"b\\\\c"'),
        ("a\r\nX: y", 'attachment; filename="aX: y"'),
        ("\u0421.html", "attachment; filename=\".html\"; filename*=UTF-8''%D0%A1.html"),
    ],
)
def test_names_are_quoted_and_encoded(name: str, header: str) -> None:
    """SECURITY: a name from elsewhere ends neither its quotes nor the header."""
    assert content_disposition("attachment", name) == header
