"""Who gets to see the admin endpoint, asked as a whole application."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from kirsch.observe.access import Access, is_loopback, is_plain_host, load_token
from kirsch.observe.admin import HEADERS, make_application
from kirsch.observe.view import StackView

TOKEN = "right-one"


def view() -> StackView:
    return StackView(stack="shop", release="r1", generation=4, pid=1, started=1000.0, pools=())


def ask(path: str, token: str | None = None, method: str = "GET", **environ: str) -> tuple[int, dict[str, str], bytes]:
    """Ask for a page: status, fields, the first piece of the body."""
    given: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_HOST": "127.0.0.1:9180", **environ}
    setup_testing_defaults(given)
    given["wsgi.input"] = io.BytesIO()
    found: list[Any] = []
    body = make_application(view, Access(token))(
        given, lambda status, fields, exc_info=None: found.extend([status, fields])
    )
    try:
        first = next(iter(body), b"")
    finally:
        body.close()
    return int(found[0][:3]), dict(found[1]), first


@pytest.mark.parametrize("path", ["/", "/status.json", "/metrics", "/livez", "/assets/status.js", "/assets/chart.js"])
def test_on_the_loopback_everybody_may_look(path: str) -> None:
    """Each page, with the policy that keeps everything else out."""
    status, fields, _ = ask(path)

    assert status == 200
    assert HEADERS.items() <= fields.items()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9180", "", "127.0.0.1.evil.example", "[::1].evil"])
def test_a_strange_host_is_refused(host: str) -> None:
    """A name that somebody has made to lead to the loopback (DNS rebinding)."""
    assert ask("/", HTTP_HOST=host)[0] == 403
    assert ask("/live", HTTP_HOST=host)[0] == 403
    assert ask("/assets/status.js", HTTP_HOST=host)[0] == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:9180", "localhost:1", "LOCALHOST", "[::1]", "[::1]:9180", "10.0.0.1"]
)
def test_addresses_are_no_names(host: str) -> None:
    """What nobody can make lead elsewhere."""
    assert is_plain_host(host)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(method: str) -> None:
    """Only looked at."""
    status, fields, _ = ask("/", method=method)

    assert status == 405
    assert fields["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/live", "/status.json", "/metrics", "/readyz", "/assets/status.js"])
def test_from_elsewhere_it_takes_the_token(path: str) -> None:
    """Every page and asset, in whichever way it is shown."""
    assert ask(path, TOKEN)[0] == 401
    assert ask(path, TOKEN, HTTP_AUTHORIZATION="Bearer wrong")[0] == 401
    assert ask(path, TOKEN, HTTP_COOKIE="kirsch_admin=wrong")[0] == 401
    assert ask(path, TOKEN, QUERY_STRING="token=wrong")[0] == 401
    assert ask(path, TOKEN, HTTP_AUTHORIZATION=f"Bearer {TOKEN}")[0] in {200, 503}
    assert ask(path, TOKEN, HTTP_COOKIE=f"kirsch_admin={TOKEN}", HTTP_HOST="shop.example:9180")[0] in {200, 503}


def test_a_token_in_the_address_becomes_a_cookie(caplog: pytest.LogCaptureFixture) -> None:
    """And leaves the address line, before anything is shown; no log has it."""
    caplog.set_level("INFO")
    status, fields, _ = ask("/", TOKEN, QUERY_STRING=f"token={TOKEN}")

    assert status == 303
    assert TOKEN not in fields["Location"]
    assert TOKEN not in caplog.text
    assert "HttpOnly" in fields["Set-Cookie"]
    assert "SameSite=Strict" in fields["Set-Cookie"]


def test_whether_we_live_may_be_asked_by_everybody() -> None:
    """A load balancer knows no token."""
    assert ask("/livez", TOKEN)[0] == 200


def test_the_stream_begins_with_everything() -> None:
    """A page that comes back needs no reload."""
    status, fields, _ = ask("/live")

    assert status == 200
    assert fields["Content-Type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    ("address", "is_ours"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("10.1.2.3", False)]
)
def test_what_is_the_loopback(address: str, is_ours: bool) -> None:
    """All addresses together are not."""
    assert is_loopback(address) is is_ours


def test_the_token_is_made_once_and_kept_for_us(tmp_path: Path) -> None:
    """The same at the next start; nobody else reads it."""
    path = tmp_path / "admin.token"
    token = load_token(str(path))

    assert len(token) >= 32
    assert load_token(str(path)) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
