"""Names, redirects to the right name and to TLS, and nobody's names, seen from a client of a real nginx."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.nginx

Serve = Callable[..., Any]
Get = Callable[..., tuple[int, dict[str, str], Any]]
TLS = 'tls = { certificate = "shared/tls/a.pem", key = "shared/tls/a.key" }\n'


def test_everybody_is_sent_to_tls(
    serve: Serve, get: Get, free_port: Callable[[], int], plain_tls: ssl.SSLContext
) -> None:
    """To the same name and the same target, octet for octet; over TLS the app answers."""
    plain, secure = free_port(), free_port()
    serve(
        f'[vhost.main]\nnames = ["a.example", "*.a.example"]\nredirect_https = true\n{TLS}'
        f'listen = ["127.0.0.1:{plain}", "127.0.0.1:{secure} tls"]\n'
    )
    status, fields, _ = get(plain, "/x%2Fy?q=%0d%0aSet-Cookie:%20a", host="A.example")
    other = get(plain, "/", host="x.a.example", method="POST")
    reached = get(secure, "/", host="a.example", secure=(plain_tls, "a.example"))

    assert (status, fields["location"]) == (308, f"https://a.example:{secure}/x%2Fy?q=%0d%0aSet-Cookie:%20a")
    assert (other[0], other[1]["location"]) == (308, f"https://x.a.example:{secure}/")
    assert (reached[0], reached[2]["worker"]) == (200, "web.1")


@pytest.mark.parametrize(
    ("www", "names", "asked", "target"),
    [
        ("remove", ["a.example"], "www.a.example", "a.example"),
        ("remove", ["www.a.example"], "www.a.example", "a.example"),
        ("remove", ["a.example", "www.a.example"], "www.a.example", "a.example"),
        ("add", ["a.example"], "a.example", "www.a.example"),
        ("add", ["www.a.example"], "a.example", "www.a.example"),
    ],
)
def test_one_of_the_two_www_names_counts(
    serve: Serve, get: Get, free_port: Callable[[], int], www: str, names: list[str], asked: str, target: str
) -> None:
    """Whichever of them the operator wrote; the port that the client used is kept."""
    port = free_port()
    serve(f'[vhost.main]\nnames = {names}\nwww = "{www}"\nlisten = ["127.0.0.1:{port}"]\n')
    status, fields, _ = get(port, "/p?q", host=f"{asked}:{port}")
    unported = get(port, "/p?q", host=asked)[1]["location"]

    assert (status, fields["location"]) == (308, f"http://{target}:{port}/p?q")
    assert unported == f"http://{target}/p?q"
    assert get(port, host=target)[0] == 200


def test_aliases_lead_to_the_first_name(
    serve: Serve, get: Get, free_port: Callable[[], int], plain_tls: ssl.SSLContext
) -> None:
    """In one step, also to TLS; other names are still nobody's."""
    plain, secure = free_port(), free_port()
    serve(
        f'[vhost.main]\nnames = ["a.example"]\naliases = ["b.example", "*.b.example"]\nredirect_https = true\n{TLS}'
        f'listen = ["127.0.0.1:{plain}", "127.0.0.1:{secure} tls"]\n'
    )
    target = f"https://a.example:{secure}/x"

    assert get(plain, "/x", host="b.example")[1]["location"] == target
    assert get(secure, "/x", host="c.b.example", secure=(plain_tls, "c.b.example"))[1]["location"] == target
    assert get(plain, "/x", host="c.example")[0] == 0
    with pytest.raises(ssl.SSLError):
        get(secure, "/x", host="c.example", secure=(plain_tls, "c.example"))


def test_a_vhost_for_every_name_sends_to_tls_too(
    serve: Serve, get: Get, free_port: Callable[[], int], plain_tls: ssl.SSLContext
) -> None:
    """It stays the one that takes what no name matches, on both addresses."""
    plain, secure = free_port(), free_port()
    serve(f'[vhost.main]\nredirect_https = true\n{TLS}listen = ["127.0.0.1:{plain}", "127.0.0.1:{secure} tls"]\n')

    assert get(plain, "/x", host="any.example")[1]["location"] == f"https://any.example:{secure}/x"
    assert get(secure, "/x", host="any.example", secure=(plain_tls, "any.example"))[0] == 200
