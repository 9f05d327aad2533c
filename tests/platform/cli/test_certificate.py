"""`kirsch certificate`, as a hook of an ACME client calls it: from the challenge to what new clients see."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from kirsch.spec import Listen, Tls

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(120)]

Kirsch = Callable[..., tuple[int, str]]
VHOST = """
[vhost.main]
names = ["a.example"]
listen = ["127.0.0.1:{plain}", "127.0.0.1:{secure} tls"]
redirect_https = true
acme = true
tls = {{ certificate = "shared/tls/a.pem", key = "shared/tls/a.key" }}
"""


def lineage(folder: Path, *, mixed: bool = False) -> trustme.LeafCert:
    """A folder as certbot fills it; *mixed* has the key of another certificate."""
    leaf, other = (trustme.CA().issue_cert("a.example") for _ in range(2))
    folder.mkdir()
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(str(folder / "fullchain.pem"), append=True)
    (other if mixed else leaf).private_key_pem.write_to_path(str(folder / "privkey.pem"))
    return leaf


def shown(port: int) -> bytes:
    """The certificate that a new client sees."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        with context.wrap_socket(line, server_hostname="a.example") as secure:
            return secure.getpeercert(binary_form=True) or b""


def test_from_the_challenge_to_the_client(host: Any, kirsch: Kirsch, folder: Path) -> None:
    """An authority is answered over port 80 before there is a certificate; the hook returns when it is served."""
    plain, secure = host.port, free_port()
    with (folder / "kirsch.toml").open("a") as file:
        file.write(VHOST.format(plain=plain, secure=secure))
    state = host.state(slots=3)
    vhost = msgspec.structs.replace(
        state.stack.vhosts["main"],
        names=("a.example",),
        listen=tuple(Listen(address="127.0.0.1", port=port, tls=port == secure) for port in (plain, secure)),
        redirect_https=True,
        acme=True,
        tls=Tls(certificate="shared/tls/a.pem", key="shared/tls/a.key"),
    )
    host.stop()
    host.start(
        msgspec.structs.replace(state, stack=msgspec.structs.replace(state.stack, vhosts={"main": vhost})), nginx=True
    )
    host.wait_until_ready(nginx=True)
    placeholder = shown(secure)
    # what `certbot certonly --webroot -w ROOT/shared/acme` does
    challenge = Path(host.paths.shared, "acme", ".well-known", "acme-challenge", "token")
    challenge.parent.mkdir(parents=True)
    challenge.write_text("token.thumbprint")
    authority = http.client.HTTPConnection("127.0.0.1", plain, timeout=10)
    authority.request("GET", "/.well-known/acme-challenge/token", headers={"Host": "a.example"})
    answer = authority.getresponse().read()
    leaf = lineage(folder / "live")
    lineage(folder / "mixed", mixed=True)

    refused, why = kirsch("certificate", "main", "-i", "live.toml", "--from", "mixed")
    status, said = kirsch("certificate", "main", "-i", "live.toml", "--from", "live")

    assert answer == b"token.thumbprint"
    assert (refused, "are no pair" in why) == (1, True)
    assert (status, "main serves it" in said) == (0, True), said
    assert shown(secure) == ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode()) != placeholder
    key = Path(host.paths.shared, "tls", "a.key")
    assert key.stat().st_mode & 0o777 == 0o600


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_without_a_stack_it_is_put_there(kirsch: Kirsch, folder: Path) -> None:
    """Before the first deploy; a vhost that is none is told."""
    with (folder / "kirsch.toml").open("a") as file:
        file.write(VHOST.format(plain=18080, secure=18443))
    lineage(folder / "live")
    status, said = kirsch("certificate", "main", "-i", "local.toml", "--from", "live")
    wrong, why = kirsch("certificate", "other", "-i", "local.toml", "--from", "live")

    assert (status, "does not run" in said) == (0, True), said
    assert (folder / "root" / "shared" / "tls" / "a.pem").read_bytes() == (
        folder / "live" / "fullchain.pem"
    ).read_bytes()
    assert (wrong, "vhost.other" in why) == (2, True)
