"""Who the client is when a proxy stands before nginx: believed exactly where the operator said so."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.nginx

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 9, 127, 0, 0, 1]) + b"\x10\x00\x00\x50"


def seen(answer: tuple[int, dict[str, str], Any]) -> dict[str, str]:
    """The fields that the worker got."""
    return {name.lower(): value for name, value in answer[2]["fields"]}


@pytest.mark.parametrize("header", ["PROXY TCP4 203.0.113.9 127.0.0.1 4096 80\r\n", V2.decode("latin-1")])
def test_the_proxy_header_says_who_the_client_is(
    serve: Serve, get: Get, free_port: Callable[[], int], header: str
) -> None:
    """Version 1 and 2; the field of the same meaning is nobody's word."""
    port = free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port} proxy"]\ntrusted_proxies = ["127.0.0.0/8"]\n')
    fields = seen(get(port, before=header, X_Forwarded_For="6.6.6.6"))

    assert fields["x-forwarded-for"] == fields["x-real-ip"] == "203.0.113.9"


def test_a_client_without_the_header_is_not_served(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """It would be anybody."""
    port = free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port} proxy"]\ntrusted_proxies = ["127.0.0.0/8"]\n')

    assert get(port)[0] in (0, 400)


def test_who_is_not_trusted_may_send_the_header_and_is_not_believed(
    serve: Serve, get: Get, free_port: Callable[[], int]
) -> None:
    """The address of the connection stays."""
    port = free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port} proxy"]\ntrusted_proxies = ["192.0.2.0/24"]\n')

    assert seen(get(port, before="PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n"))["x-forwarded-for"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("trusted", "said", "client", "scheme"),
    [
        ("127.0.0.0/8", "203.0.113.9", "203.0.113.9", "https"),
        ("127.0.0.0/8", "6.6.6.6, 203.0.113.9", "203.0.113.9", "https"),
        ("127.0.0.0/8", "203.0.113.9, 127.0.0.3", "203.0.113.9", "https"),
        ("192.0.2.0/24", "203.0.113.9", "127.0.0.1", "http"),
    ],
)
def test_a_proxy_that_speaks_http_is_believed_from_the_right(
    serve: Serve, get: Get, free_port: Callable[[], int], trusted: str, said: str, client: str, scheme: str
) -> None:
    """Also that the client came over TLS; nobody else is, however much they say."""
    port = free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\ntrusted_proxies = ["{trusted}"]\n')
    fields = seen(get(port, X_Forwarded_For=said, X_Forwarded_Proto="https", X_Forwarded_Port="6666"))

    assert (fields["x-forwarded-for"], fields["x-forwarded-proto"]) == (client, scheme)
    assert "x-forwarded-port" not in fields


def test_what_a_trusted_proxy_says_is_still_checked(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """A scheme that is none is not passed on."""
    port = free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\ntrusted_proxies = ["127.0.0.1"]\n')

    assert seen(get(port, X_Forwarded_Proto="javascript"))["x-forwarded-proto"] == "http"
    assert seen(get(port, X_Forwarded_For="test123"))["x-forwarded-for"] == "127.0.0.1"


def test_a_redirect_is_right_behind_a_proxy(serve: Serve, get: Get, free_port: Callable[[], int]) -> None:
    """The client came over TLS, so it is sent on over TLS."""
    port = free_port()
    serve(
        f'[vhost.main]\nnames = ["a.example"]\naliases = ["b.example"]\nlisten = ["127.0.0.1:{port}"]\n'
        'trusted_proxies = ["127.0.0.1"]\n'
    )

    assert get(port, "/x", host="b.example", X_Forwarded_Proto="https")[1]["location"] == "https://a.example/x"


def test_a_head_that_is_cut_off_serves_nobody(serve: Serve, free_port: Callable[[], int]) -> None:
    """The PROXY line alone is no request."""
    port = free_port()
    serve(f'[vhost.main]\nlisten = ["127.0.0.1:{port} proxy"]\ntrusted_proxies = ["127.0.0.0/8"]\n')
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"PROXY NONSENSE\r\n")

        assert connection.recv(100) == b""
