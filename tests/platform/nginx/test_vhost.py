"""Which app a request reaches, seen through a real nginx."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.nginx import NginxControl
from kirsch.spec import HostPaths, Stack

pytestmark = pytest.mark.nginx

Ask = Callable[..., tuple[int, dict[str, str], Any]]
Apply = Callable[[str], None]

APPS = """
[stack]
name = "x"
[app.shop]
entry = "shop:Root"
[app.legacy]
entry = "legacy:app"
mount = "/legacy"
pool = "old"
[pool.web]
workers = 1
[pool.old]
workers = 1
"""


@pytest.fixture
def apply(
    control: NginxControl,
    render: Callable[[Stack], dict[str, str]],
    stack_from: Callable[[str], Stack],
    worker: Callable[..., Any],
) -> Apply:
    """Make nginx serve a stack, with one worker for each of its two pools."""
    worker("web", 1)
    worker("old", 1)
    return lambda text: control.apply(render(stack_from(APPS + text))) and None


def get(path: str, host: str = "a", extra: str = "") -> str:
    """A request as octets."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{extra}Connection: close\r\n\r\n"


def test_a_path_leads_to_the_app_that_is_mounted_there(apply: Apply, ask: Ask, free_port: Callable[[], int]) -> None:
    """The mount itself and all below it; a name that only begins alike is another app's."""
    port = free_port()
    apply(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n')
    reached = {
        path: ask(port, get(path))[2]["worker"]
        for path in ("/", "/x", "/legacy", "/legacy/", "/legacy/x?y", "/legacyfoo", "/LEGACY", "/x/../legacy/y")
    }

    assert reached == {
        "/": "web.1",
        "/x": "web.1",
        "/legacy": "old.1",
        "/legacy/": "old.1",
        "/legacy/x?y": "old.1",
        "/legacyfoo": "web.1",
        "/LEGACY": "web.1",
        "/x/../legacy/y": "old.1",
    }


def test_a_vhost_without_an_app_at_its_root_has_a_page_of_its_own(
    apply: Apply, ask: Ask, free_port: Callable[[], int]
) -> None:
    """Nothing there: nginx's 404 page, not some other app."""
    port = free_port()
    apply(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\napps = ["legacy"]\n')

    assert ask(port, get("/legacy/x"))[0] == 200
    assert ask(port, get("/"))[0] == 404


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/.kirsch/pages/502.html", "/.kirsch/pages/404.html"])
def test_what_is_inside_stays_inside(apply: Apply, ask: Ask, free_port: Callable[[], int], path: str) -> None:
    """Probes and error pages cannot be asked for."""
    port = free_port()
    apply(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n')
    status, _, body = ask(port, get(path))

    assert status == 404
    assert b"worker" not in body


@pytest.mark.parametrize(
    "path", ["/.kirsch/pages../nginx.conf", "/.kirsch/pages/../../nginx.conf", "/.kirsch/pages/%2e%2e/x"]
)
def test_the_pages_folder_cannot_be_left(apply: Apply, ask: Ask, free_port: Callable[[], int], path: str) -> None:
    """An alias and a location that do not end alike would hand out nginx.conf."""
    port = free_port()
    apply(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n')
    _, _, body = ask(port, get(path))

    assert b"worker_processes" not in (body if isinstance(body, bytes) else b"")


def test_names_choose_the_vhost_and_strangers_get_nothing(apply: Apply, ask: Ask, free_port: Callable[[], int]) -> None:
    """A name that nobody has is not answered at all."""
    port = free_port()
    apply(
        f'[vhost.a]\nnames = ["a.example", "*.a.example"]\nlisten = ["127.0.0.1:{port}"]\napps = ["shop"]\n'
        f'[vhost.b]\nnames = ["b.example"]\nlisten = ["127.0.0.1:{port}"]\napps = ["legacy"]\n'
    )

    assert ask(port, get("/", "a.example"))[2]["worker"] == "web.1"
    assert ask(port, get("/", "X.A.example"))[2]["worker"] == "web.1"
    assert ask(port, get("/legacy", "b.example"))[2]["worker"] == "old.1"
    assert ask(port, get("/", "b.example"))[0] == 404
    assert ask(port, get("/", "c.example"))[0] == 0


def test_a_vhost_without_names_takes_the_strangers(apply: Apply, ask: Ask, free_port: Callable[[], int]) -> None:
    """Beside vhosts with names on the same address."""
    port = free_port()
    apply(
        f'[vhost.rest]\nlisten = ["127.0.0.1:{port}"]\napps = ["legacy"]\n'
        f'[vhost.a]\nnames = ["a.example"]\nlisten = ["127.0.0.1:{port}"]\napps = ["shop"]\n'
    )

    assert ask(port, get("/", "a.example"))[2]["worker"] == "web.1"
    assert ask(port, get("/legacy", "whoever.example"))[2]["worker"] == "old.1"


def test_a_body_over_the_limit_is_refused_before_a_worker_sees_it(
    apply: Apply, ask: Ask, free_port: Callable[[], int]
) -> None:
    """Exactly at the limit it goes through."""
    port = free_port()
    apply(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\nmax_body = 10\n')
    fits = ask(port, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n0123456789")
    over = ask(port, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 11\r\n\r\n")

    assert (fits[0], fits[2]["body"]) == (200, "0123456789")
    assert over[0] == 413


def test_a_pool_without_a_worker_has_a_page_that_says_come_back(
    apply: Apply, ask: Ask, free_port: Callable[[], int], stage: HostPaths
) -> None:
    """With the time after which it is worth it, and never kept by a cache."""
    port = free_port()
    apply(f'[vhost.main]\nlisten = ["127.0.0.1:{port}"]\n')
    Path(stage.slot_socket("web", 1)).unlink()
    status, fields, body = ask(port, get("/"))

    assert status == 502
    assert (fields["retry-after"], fields["cache-control"]) == ("5", "no-store")
    assert b"<!doctype html>" in body  # in chunks, as the page shows the id of its request
    assert ask(port, get("/legacy"))[0] == 200


def certificate(folder: Path) -> tuple[str, str]:
    """A self-signed pair made by the system's openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=a.example"]
    subprocess.run(
        [openssl, "req", "-x509", *options, "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True
    )
    return pair


def test_tls_offers_http2_and_refuses_strangers_and_old_protocols(
    apply: Apply, free_port: Callable[[], int], tmp_path: Path
) -> None:
    """The worker learns that the request came over TLS; a handshake for a name that nobody has fails."""
    port = free_port()
    cert, key = certificate(tmp_path)
    apply(
        f'[vhost.main]\nnames = ["a.example"]\nlisten = ["127.0.0.1:{port} tls"]\n'
        f'tls = {{ certificate = "{cert}", key = "{key}" }}\n'
    )

    def connect(name: str, **options: Any) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(options.get("alpn", ["http/1.1"]))
        if "newest" in options:
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.maximum_version = options["newest"]
        return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname=name)

    with connect("a.example", alpn=["h2"]) as connection:
        assert connection.selected_alpn_protocol() == "h2"
    with connect("a.example") as connection:
        connection.sendall(get("/", "a.example").encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    with pytest.raises(ssl.SSLError):
        connect("stranger.example")
    with pytest.raises(ssl.SSLError), pytest.warns(DeprecationWarning, match="TLS"):
        connect("a.example", newest=ssl.TLSVersion.TLSv1_1)

    assert b'["X-Forwarded-Proto", "https"]' in answer
