"""What a WebSocket's handshake must look like."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.aio import handshake
from cherrypy.http.headers import HeaderMap

GOOD = {
    "Host": "site.test",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def request(*, method: str = "GET", protocol: tuple[int, int] = (1, 1), has_body: bool = False, **fields: Any) -> Any:
    """Return a good request, with some *fields* changed, or left out if they are None."""
    headers = HeaderMap()
    for name, value in {**GOOD, **{name.replace("_", "-"): value for name, value in fields.items()}}.items():
        if value is not None:
            headers[name] = value
    message = SimpleNamespace(method=method, version=protocol, has_body=has_body)
    return SimpleNamespace(headers=headers, _message=message, base="https://site.test:8443")


def test_a_good_handshake_passes() -> None:
    """Also with other protocols and tokens in its lists, in any case."""
    asked = [request(), request(Upgrade="h2c, WebSocket", Connection="keep-alive, UPGRADE")]

    assert [handshake.check_request(one) for one in asked] == [None, None]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Upgrade": None}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Sec_WebSocket_Version": None}, 426),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"method": "POST"}, 400),
        ({"protocol": (1, 0)}, 400),
        ({"has_body": True}, 400),
        ({"Connection": None}, 400),
        ({"Connection": "keep-alive"}, 400),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ"}, 400),
        ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
        ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="}, 400),
    ],
)
def test_a_wrong_handshake_is_refused(change: dict[str, Any], status: int) -> None:
    """426 says what would be right; anything else is 400."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        handshake.check_request(request(**change))

    assert caught.value.code == status
    if status == 426:
        assert cherrypy.serving.response.headers["Upgrade"] == "websocket"


@pytest.mark.parametrize(
    ("origin", "origins", "passes"),
    [
        (None, None, True),
        ("https://site.test:8443", None, True),
        ("http://site.test:8443", None, True),
        ("https://SITE.test:8443", None, True),
        ("https://site.test", None, False),
        ("https://evil.test", None, False),
        ("https://site.test.evil.test:8443", None, False),
        ("null", None, False),
        ("ftp://site.test:8443", None, False),
        ("https://[", None, False),
        ("https://site.test:x", None, False),
        ("https://other.test", "https://other.test", True),
        ("https://other.test", ["https://third.test", "https://other.test"], True),
        ("https://site.test:8443", ["https://other.test"], True),
        ("null", ["null"], True),
        ("https://evil.test", "*", True),
        ("https://evil.test", ["*"], True),
        ("https://evil.test", "https://other.test", False),
    ],
)
def test_only_the_site_and_who_is_listed_may_come_in(origin: str | None, origins: Any, passes: bool) -> None:
    """A client that is no browser sends no Origin."""
    asked = request(Origin=origin)
    if passes:
        assert handshake.check_origin(asked, origins) is None  # type: ignore[func-returns-value]
        return
    with pytest.raises(cherrypy.HTTPError) as caught:
        handshake.check_origin(asked, origins)

    assert caught.value.code == 403


def test_the_server_prefers_among_the_offered_subprotocols() -> None:
    """The first of ours that is offered; none if none is."""
    asked = request(Sec_WebSocket_Protocol="old, new")

    assert handshake.choose_subprotocol(asked.headers, ["newest", "new", "old"]) == "new"
    assert handshake.choose_subprotocol(asked.headers, ["other"]) is None
    assert handshake.choose_subprotocol(request().headers, ["new"]) is None


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ("permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
        ),
        ('permessage-deflate; client_max_window_bits="12"', "permessage-deflate; client_max_window_bits=12"),
        ("x-other, permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; server_max_window_bits=99", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits=9", None),
        ("", None),
    ],
)
def test_only_well_formed_offers_of_compression_are_taken(offered: str, taken: str | None) -> None:
    """The first good one of several; numbers are never read before a pattern has vouched for them."""
    assert handshake.acceptable_deflate(request(Sec_WebSocket_Extensions=offered).headers) == taken
