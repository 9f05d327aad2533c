"""Addresses of a vhost."""

from __future__ import annotations

import msgspec
import pytest

from kirsch.spec import Listen, Vhost


@pytest.mark.parametrize(
    ("text", "printed", "url"),
    [
        ("8080", "0.0.0.0:8080", "http://127.0.0.1:8080/"),
        ("*:80", "0.0.0.0:80", "http://127.0.0.1/"),
        ("localhost:8080", "127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("192.0.2.1:443 tls", "192.0.2.1:443 tls", "https://192.0.2.1/"),
        ("[::]:80", "[::]:80", "http://[::1]/"),
        ("[2001:DB8::1]:8443  tls", "[2001:db8::1]:8443 tls", "https://[2001:db8::1]:8443/"),
        (" 80 ", "0.0.0.0:80", "http://127.0.0.1/"),
    ],
)
def test_an_address_is_read_and_printed(text: str, printed: str, url: str) -> None:
    """The printed form reads as the same address again."""
    listen = Listen.parse(text)

    assert (str(listen), listen.url) == (printed, url)
    assert Listen.parse(printed) == listen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65536",
        "x:80",
        "1.2.3:80",
        "1.2.3.4.5:80",
        "::1:80",
        "[1.2.3.4]:80",
        "80 ssl",
        "80;",
        "80\n81",
        "80tls",
        80,
        None,
    ],
)
def test_what_is_no_address_is_refused(text: object) -> None:
    """The rule is the error's text."""
    with pytest.raises(ValueError, match="ADDRESS:PORT"):
        Listen.parse(text)


def test_the_idiom_for_every_name_is_refused_with_its_cure() -> None:
    """Nginx's "_" is a name that no client asks for: the vhost would answer nobody."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "main", "names": ["_"]}, Vhost)
