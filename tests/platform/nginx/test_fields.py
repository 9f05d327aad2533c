"""Fields that nginx adds to answers, seen by a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.nginx

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]


def test_nothing_is_added_that_nobody_asked_for(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """The application's answer, and the id of the request."""
    port = free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n')
    fields = get(port)[1]

    assert set(fields) == {"server", "date", "content-type", "content-length", "connection", "x-request-id"}
    assert fields["server"] == "nginx"


def test_a_preset_makes_browsers_careful(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """On pages, and on nginx's own answers."""
    port = free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\nsecurity = "strict"\n')
    for path in ("/", "/livez"):
        fields = get(port, path)[1]

        assert fields["x-content-type-options"] == "nosniff"
        assert fields["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in fields["content-security-policy"]
        assert fields["x-request-id"]


def test_the_application_s_own_word_counts(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """A page that may be framed says so, once; the operator's value wins over the preset's."""
    port = free_port()
    worker = serve(
        f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\nsecurity = "basic"\n'
        'headers = { X-Team = "blue; \\"it\'s\\" {x}", referrer-policy = "no-referrer" }\n'
    )
    worker.extra = "X-Frame-Options: ALLOWALL\r\nX-Team: red\r\n"
    own = get(port)[1]
    worker.extra = ""
    added = get(port)[1]

    assert (own["x-frame-options"], own["x-team"]) == ("ALLOWALL", "red")
    assert (added["x-frame-options"], added["x-team"]) == ("SAMEORIGIN", 'blue; "it\'s" {x}')
    assert added["referrer-policy"] == "no-referrer"
