"""What a worker is told about a request, seen from behind a real nginx."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from kirsch.nginx import NginxControl
from kirsch.nginx.headers import CLEARED
from kirsch.spec import Stack

pytestmark = pytest.mark.nginx

Ask = Callable[..., tuple[int, dict[str, str], Any]]

FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "6666",
    "X-Real-IP": "6.6.6.6",
    "X-Request-ID": "forged",
    "X-Request-Start": "t=1",
    "X_Forwarded_For": "6.6.6.6",
    "X_Real_IP": "6.6.6.6",
    **dict.fromkeys(CLEARED, "forged"),
}


@pytest.fixture
def seen(
    control: NginxControl,
    render: Callable[[Stack], dict[str, str]],
    stack_from: Callable[[str], Stack],
    free_port: Callable[[], int],
    worker: Callable[..., Any],
    ask: Ask,
) -> Callable[..., tuple[dict[str, list[str]], dict[str, str], int]]:
    """Send a request with *fields* through nginx: fields that the worker got, fields of the answer, nginx's port."""
    port = free_port()
    worker("web", 1)
    worker("web", 2)
    control.apply(
        render(stack_from(f'[stack]\nname="x"\n[app.a]\nentry="a:b"\n[vhost.main]\nlisten=["127.0.0.1:{port}"]\n'))
    )

    def send(fields: list[tuple[str, str]], target: str = "/") -> tuple[dict[str, list[str]], dict[str, str], int]:
        lines = "".join(f"{name}: {value.format(port=port)}\r\n" for name, value in fields)
        status, answer, body = ask(port, f"GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")
        assert status == 200
        got: dict[str, list[str]] = {}
        for name, value in body["fields"]:
            got.setdefault(name.lower(), []).append(value)
        return got, answer, port

    return send


Seen = Callable[..., tuple[dict[str, list[str]], dict[str, str], int]]


def test_a_client_cannot_say_who_it_is(seen: Seen) -> None:
    """Every forged field is replaced or gone, in every spelling."""
    got, _, port = seen([("Host", "shop.example:{port}"), *FORGED.items()])
    values = [value for held in got.values() for value in held]

    assert got["x-forwarded-for"] == got["x-real-ip"] == ["127.0.0.1"]
    assert got["x-forwarded-proto"] == ["http"]
    assert got["x-forwarded-host"] == got["host"] == [f"shop.example:{port}"]
    assert got["x-forwarded-port"] == [str(port)]
    assert re.fullmatch(r"t=[0-9]{10}\.[0-9]{3}", got["x-request-start"][0])
    assert not [value for value in values if "6.6.6" in value or "evil" in value or "forged" in value]
    assert not {name.lower() for name in CLEARED} & set(got)
    assert not [name for name in got if "_" in name]


def test_a_field_sent_twice_is_still_replaced(seen: Seen) -> None:
    """The second copy does not slip through."""
    got, _, _ = seen([("Host", "a"), ("X-Forwarded-For", "6.6.6.6"), ("X-FORWARDED-FOR", "7.7.7.7")])

    assert got["x-forwarded-for"] == ["127.0.0.1"]


def test_a_request_has_one_id_on_both_sides(seen: Seen) -> None:
    """What the worker logs can be found in nginx's log, and named by the client."""
    got, answer, _ = seen([("Host", "a")])

    assert re.fullmatch(r"[0-9a-f]{32}", got["x-request-id"][0])
    assert answer["x-request-id"] == got["x-request-id"][0]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("shop.example", "shop.example"),
        ("SHOP.example:8443", "shop.example:8443"),
        ("[::1]:{port}", "[::1]:{port}"),
        ("127.0.0.1:80", "127.0.0.1:80"),
    ],
)
def test_the_host_keeps_the_port_that_the_client_used(seen: Seen, host: str, expected: str) -> None:
    """Absolute URLs are right also behind a mapped port."""
    got, _, port = seen([("Host", host)])

    assert got["host"] == [expected.format(port=port)]


@pytest.mark.parametrize(("host", "expected"), [("a.example", "80"), ("a.example:8443", "8443"), ("[::1]:81", "81")])
def test_the_port_is_the_one_that_the_client_knows(seen: Seen, host: str, expected: str) -> None:
    """Nginx's own may be one that only a container has."""
    got, _, port = seen([("Host", host)])

    assert got["x-forwarded-port"] == [expected] != [str(port)]


def test_the_target_s_host_wins_over_the_field(seen: Seen) -> None:
    """A request in absolute form is for the host in its target, as the vhost was chosen by it."""
    got, _, _ = seen([("Host", "evil.example")], "http://shop.example/x")

    assert got["host"] == ["shop.example"]


def test_a_plain_request_keeps_the_connection_to_the_worker(seen: Seen) -> None:
    """No Connection field, no upgrade; `h2c` never goes through, a WebSocket does."""
    plain, _, _ = seen([("Host", "a")])
    smuggled, _, _ = seen([("Host", "a"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")])
    socket, _, _ = seen([("Host", "a"), ("Upgrade", "WebSocket")])

    assert "connection" not in plain
    assert "upgrade" not in plain
    assert "connection" not in smuggled
    assert "upgrade" not in smuggled
    assert (socket["connection"], socket["upgrade"]) == (["upgrade"], ["websocket"])


def test_the_path_goes_through_as_it_came(seen: Seen, ask: Ask) -> None:
    """Neither decoded nor merged: "%2F" is no slash, and an application may tell "//" from "/"."""
    got, _, port = seen([("Host", "a")])
    _, _, body = ask(port, "GET /a%2Fb//c/%7Ed?x=%20&y=/../z HTTP/1.0\r\n\r\n")

    assert got
    assert body["line"] == "GET /a%2Fb//c/%7Ed?x=%20&y=/../z HTTP/1.1"
