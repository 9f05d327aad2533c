"""The WSGI environment is the same whoever serves: client, scheme, host and path as nginx had them."""

from __future__ import annotations

from typing import Any

import pytest

from cherrypy.http.forwarded import Trust
from kirsch.worker.origin import settle

NGINX = Trust(["unix:"])


def environ(**more: Any) -> dict[str, Any]:
    made = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "HTTP_HOST": "shop.example",
        "SERVER_NAME": "/run/web.1.sock",
        "SERVER_PORT": "",
        "REMOTE_ADDR": "",
        "REMOTE_PORT": "0",
        "wsgi.url_scheme": "http",
    }
    return made | more


def settled(trust: Trust = NGINX, **more: Any) -> dict[str, Any]:
    found = environ(**more)
    settle(found, trust, "web.1")
    return found


def test_the_proxys_word_is_taken() -> None:
    """Address, scheme, host and port of the client's own connection."""
    found = settled(
        HTTP_X_FORWARDED_FOR="192.0.2.7", HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_HOST="www.example:8443"
    )

    assert found["REMOTE_ADDR"] == "192.0.2.7"
    assert "REMOTE_PORT" not in found
    assert (found["wsgi.url_scheme"], found["HTTPS"]) == ("https", "on")
    assert (found["HTTP_HOST"], found["SERVER_NAME"], found["SERVER_PORT"]) == (
        "www.example:8443",
        "www.example",
        "8443",
    )
    assert found["kirsch.worker"] == "web.1"


@pytest.mark.parametrize(("scheme", "port"), [("http", "80"), ("https", "443")])
def test_a_host_without_a_port_has_its_schemes(scheme: str, port: str) -> None:
    """PEP 3333 wants SERVER_PORT, and a Unix socket has none."""
    assert settled(HTTP_X_FORWARDED_PROTO=scheme)["SERVER_PORT"] == port


def test_an_ipv6_host_is_no_port() -> None:
    """Its last colon is its own."""
    found = settled(HTTP_HOST="[2001:db8::1]", HTTP_X_FORWARDED_PROTO="http")

    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("[2001:db8::1]", "80")


def test_without_trust_nothing_is_believed() -> None:
    """Neither by us nor by what the server made of a stranger's fields."""
    found = settled(
        Trust([]),
        HTTP_X_FORWARDED_FOR="6.6.6.6",
        HTTP_X_FORWARDED_PROTO="https",
        **{"wsgi.url_scheme": "https"},
    )

    assert found["REMOTE_ADDR"] == ""
    assert found["wsgi.url_scheme"] == "http"
    assert "HTTPS" not in found


@pytest.mark.parametrize("key", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a%2Fb%2fc%20d?x=%2F", "/a%2Fb%2Fc d"),
        ("http://shop.example/a%2Fb", "/a%2Fb"),
        ("/%E4%2F", "/\xe4%2F"),
    ],
)
def test_an_encoded_slash_stays_encoded(key: str, target: str, path: str) -> None:
    """Or it would separate: servers of others decode it."""
    assert settled(PATH_INFO="/decoded/by/the/server", **{key: target})["PATH_INFO"] == path


def test_a_path_without_one_is_left_alone() -> None:
    """Whatever the server has made of it."""
    assert settled(PATH_INFO="/a b", RAW_URI="/a%20b")["PATH_INFO"] == "/a b"
    assert settled(PATH_INFO="/x", REQUEST_URI="/x")["PATH_INFO"] == "/x"


def test_applications_that_read_the_fields_find_one_hop() -> None:
    """Flask's ProxyFix, Falcon's forwarded_uri and Django's USE_X_FORWARDED_HOST come to what the environment says."""
    found = settled(
        HTTP_X_FORWARDED_FOR="192.0.2.7",
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="shop.example",
        HTTP_X_FORWARDED_PORT="8080",
    )

    assert {key: value for key, value in found.items() if "FORWARDED" in key or key == "HTTP_X_REAL_IP"} == {
        "HTTP_X_FORWARDED_FOR": "192.0.2.7",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "shop.example",
        "HTTP_X_FORWARDED_PORT": "443",
        "HTTP_X_REAL_IP": "192.0.2.7",
    }


@pytest.mark.parametrize(
    "field",
    ["FORWARDED", "PROXY", "X_REAL_IP", "X_FORWARDED_PREFIX", "X_FORWARDED_SSL", "X_ORIGINAL_URL", "X_SCRIPT_NAME"],
)
@pytest.mark.parametrize("trust", [NGINX, Trust([])])
def test_a_claim_that_nobody_checks_is_gone(field: str, trust: Trust) -> None:
    """SECURITY: an application would believe it; httpoxy is among them."""
    assert settled(trust, **{f"HTTP_{field}": "forged"}).get(f"HTTP_{field}") != "forged"
