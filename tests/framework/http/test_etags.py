"""Entity tags."""

from __future__ import annotations

import pytest

from cherrypy.http.etags import matches_strongly, matches_weakly, parse_etags


@pytest.mark.parametrize(
    ("value", "tags"), [(None, []), ("*", ["*"]), ('"a,b", W/"c"', ['"a,b"', 'W/"c"']), (' , "x" ,', ['"x"'])]
)
def test_tags_are_listed(value: str | None, tags: list[str]) -> None:
    """A comma inside a tag belongs to it."""
    assert parse_etags(value) == tags


@pytest.mark.parametrize(
    ("etag", "candidates", "strong", "weak"),
    [
        ('"a"', ['"a"'], True, True),
        ('W/"a"', ['"a"'], False, True),
        ('"a"', ['W/"a"'], False, True),
        ('W/"a"', ['W/"a"'], False, True),
        ('"a"', ['"b"'], False, False),
        (None, ["*"], True, True),
        (None, ['"a"'], False, False),
    ],
)
def test_the_two_comparisons(etag: str | None, candidates: list[str], strong: bool, weak: bool) -> None:
    """The table of RFC 9110, 8.8.3.2."""
    assert matches_strongly(etag, candidates) is strong
    assert matches_weakly(etag, candidates) is weak
