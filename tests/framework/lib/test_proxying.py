"""What the proxy tool believes of the headers that a proxy in front writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy


class Root:
    """A page that shows who asked, and for what."""

    @cherrypy.expose
    def index(self) -> str:
        """Base, address, scheme, and a URL that is made of them."""
        request = cherrypy.request
        return f"{request.base} {request.remote.ip} {request.scheme} {cherrypy.url('/a')}"

    class Shelf:
        """A page whose address ends with a slash."""

        @cherrypy.expose
        def index(self) -> str:
            """Nothing."""
            return ""

    shelf = Shelf()


def ask(serve: Callable[..., Any], headers: dict[str, str], path: str = "/", **settings: Any) -> list[str]:
    """What the page says."""
    tools = {f"proxy__{name}": value for name, value in settings.items()}
    answer = serve(Root(), proxy__on=True, **tools)(path, headers=headers)
    return str(answer.body.decode()).split()


@pytest.mark.parametrize(
    ("scheme", "value", "base"),
    [
        ("X-Forwarded-Proto", "https", "https://localhost"),
        ("X-Forwarded-Proto", "https, http", "https://localhost"),
        ("X-Forwarded-Proto", "HTTPS", "https://localhost"),
        ("X-Forwarded-Proto", "not a scheme", "http://localhost"),
        ("X-Forwarded-Proto", "javascript", "http://localhost"),
        ("X-Forwarded-Proto", "", "http://localhost"),
        ("X-Forwarded-Ssl", "on", "https://localhost"),
        ("X-Forwarded-Ssl", "off", "http://localhost"),
        ("Front-End-Https", "on", "https://localhost"),
        ("X-Arr-Ssl", "2048|256|C=US, S=Washington, O=Corporation|CN=*.example.net", "https://localhost"),
        ("X-Forwarded-Ssl", "https", "https://localhost"),
    ],
)
def test_the_scheme_is_understood_in_every_dialect(
    serve: Callable[..., Any], scheme: str, value: str, base: str
) -> None:
    """Lists, capitals, switches, and a certificate instead of a word."""
    assert ask(serve, {scheme: value}, scheme=scheme)[0] == base


@pytest.mark.parametrize(
    ("value", "ip"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("1.2.3.4, 10.0.0.1", "1.2.3.4"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("unknown", "127.0.0.1"),
        ("x' OR 1=1", "127.0.0.1"),
    ],
)
def test_a_forwarded_address_is_an_address(serve: Callable[..., Any], value: str, ip: str) -> None:
    """Without its port; whatever else a client writes there is not believed."""
    assert ask(serve, {"X-Forwarded-For": value})[1] == ip


@pytest.mark.parametrize(
    ("value", "base"),
    [
        ("www.example:8080, proxy", "http://www.example:8080"),
        ("https://www.example", "https://www.example"),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:80"),
        ("evil.example/<script>", "http://localhost"),
        ('"', "http://localhost"),
        ("user@evil.example", "http://localhost"),
        ("javascript://x", "http://localhost"),
        ("=?utf-8?q?a=0D=0ASet-Cookie:x?=", "http://localhost"),
    ],
)
def test_a_forwarded_host_is_a_host(serve: Callable[..., Any], value: str, base: str) -> None:
    """SECURITY: links and redirects are made of it; whatever else a client writes there is not believed."""
    assert ask(serve, {"X-Forwarded-Host": value})[0] == base


def test_a_header_of_one_s_own_is_taken_as_it_is(serve: Callable[..., Any]) -> None:
    """COMPAT: it may hold anything."""
    assert ask(serve, {"X-Client": "10.0.0.1:80"}, remote="X-Client")[1] == "10.0.0.1"
    assert ask(serve, {"X-Client": "name"}, remote="X-Client")[1] == "name"


@pytest.mark.parametrize("switch", [None, ""])
def test_each_header_can_be_left_alone(serve: Callable[..., Any], switch: str | None) -> None:
    """None or ''."""
    sent = {"X-Forwarded-Host": "x", "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}

    assert ask(serve, sent, local=switch, remote=switch, scheme=switch)[:2] == ["http://localhost", "127.0.0.1"]


@pytest.mark.parametrize(
    ("settings", "headers", "base"),
    [
        ({}, {"Host": "localhost:8080"}, "http://localhost:8080"),
        ({}, {"Host": "localhost:8080", "X-Forwarded-Proto": "https"}, "https://localhost:8080"),
        ({}, {"X-Forwarded-Host": "a.b:8080, c"}, "http://a.b:8080"),
        ({}, {"X-Forwarded-Host": "https://a.b"}, "https://a.b"),
        ({"base": "http://www.x:8080"}, {}, "http://www.x:8080"),
        ({"base": "http://www.x"}, {"X-Forwarded-Proto": "https"}, "http://www.x"),
        ({"base": "www.x"}, {"X-Forwarded-Proto": "https"}, "https://www.x"),
        ({"base": "http://www.x"}, {"X-Forwarded-Host": "y"}, "http://y"),
        ({"local": "Origin"}, {"Origin": "http://xx"}, "http://xx"),
    ],
)
def test_the_base_has_one_host_and_one_port(
    serve: Callable[..., Any], settings: dict[str, Any], headers: dict[str, str], base: str
) -> None:
    """The first proxy's host, the configured one, or the Host header; and URLs are made of it."""
    found = ask(serve, headers, **settings)

    assert (found[0], found[3]) == (base, f"{base}/a")


def test_a_redirect_leads_to_where_the_client_is(serve: Callable[..., Any]) -> None:
    """Not from https to http, nor to the host behind the proxy."""
    headers = {"X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https"}
    answer = serve(Root(), proxy__on=True)("/shelf", headers=headers)

    assert answer.headers["Location"] == "https://shop.example/shelf/"


@pytest.mark.parametrize("trusted", ["127.0.0.1", ["127.0.0.0/8"], ("10.0.0.1", "127.0.0.1")])
def test_named_proxies_are_the_only_ones_believed(serve: Callable[..., Any], trusted: Any) -> None:
    """SECURITY: the address that the nearest of them saw, from the right; the scheme is the request's own too."""
    forged = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}

    assert ask(serve, forged, trusted=trusted)[:3] == ["https://shop.example", "192.0.2.7", "https"]
    assert ask(serve, forged, trusted="10.0.0.1")[:3] == ["http://localhost", "127.0.0.1", "http"]


def test_nobody_is_trusted_by_an_empty_list(serve: Callable[..., Any]) -> None:
    """It is not the old way of believing everybody."""
    assert ask(serve, {"X-Forwarded-For": "6.6.6.6"}, trusted=[])[1] == "127.0.0.1"


def test_a_prefix_is_part_of_every_address(serve: Callable[..., Any]) -> None:
    """What a known proxy took off the path stands in links and redirects again."""
    sent = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Host": "shop.example", "X-Forwarded-Prefix": "/v1"}
    answer = serve(Root(), proxy__on=True, proxy__trusted="127.0.0.1")("/shelf", headers=sent)

    assert ask(serve, sent, trusted="127.0.0.1")[3] == "http://shop.example/v1/a"
    assert answer.headers["Location"] == "http://shop.example/v1/shelf/"
    assert ask(serve, sent)[3] == "http://shop.example/a"


def test_named_fields_are_those_of_named_proxies(serve: Callable[..., Any]) -> None:
    """The three parameters keep their meaning beside ``trusted``."""
    sent = {"X-Real-IP": "192.0.2.7", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "X-Forwarded-Ssl": "on"}
    own = {"remote": "X-Real-IP", "local": None, "scheme": "X-Forwarded-Ssl"}

    assert ask(serve, sent, trusted="127.0.0.1", **own)[:2] == ["https://localhost", "192.0.2.7"]
    assert ask(serve, sent, trusted="10.0.0.1", **own)[:2] == ["http://localhost", "127.0.0.1"]
