"""Certificates that are renewed under a stack that runs."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from cryptography import x509

from kirsch.spec import Tls
from kirsch.spec.vhost import Listen

pytestmark = pytest.mark.nginx


def shown(port: int) -> int:
    """The serial number of the certificate that a new client sees."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="a.example") as connection:
            der = connection.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def put(folder: Path, blob: bytes, name: str) -> None:
    """Another file of that name, as clients of ACME write it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part").write_bytes(blob)
    os.replace(folder / "part", folder / name)


def test_a_renewed_certificate_is_taken_up_and_half_a_one_is_not(host: Any) -> None:
    """Between the certificate and its key the old pair serves on, and the status says why."""
    folder = Path(host.paths.shared, "tls")
    first, second = (trustme.CA().issue_cert("a.example") for _ in range(2))
    serials = [
        x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).serial_number for leaf in (first, second)
    ]
    put(folder, first.cert_chain_pems[0].bytes(), "a.pem")
    put(folder, first.private_key_pem.bytes(), "a.key")
    state = host.state()
    vhost = msgspec.structs.replace(
        state.stack.vhosts["main"],
        names=("a.example",),
        listen=(Listen(address="127.0.0.1", port=host.port, tls=True),),
        tls=Tls(certificate="shared/tls/a.pem", key="shared/tls/a.key"),
    )
    # one that has no certificate of its own, and goes on with the platform's
    other = msgspec.structs.replace(
        vhost, name="other", names=("b.example",), tls=Tls(certificate="shared/tls/b.pem", key="shared/tls/b.key")
    )
    stack = msgspec.structs.replace(state.stack, vhosts={"main": vhost, "other": other})
    host.start(msgspec.structs.replace(state, stack=stack), nginx=True)
    host.wait_until_ready(nginx=True)
    seen = [shown(host.port)]

    put(folder, second.cert_chain_pems[0].bytes(), "a.pem")
    status = host.wait_for(lambda status: status["nginx"]["problem"])
    seen.append(shown(host.port))
    put(folder, second.private_key_pem.bytes(), "a.key")
    host.wait_for(lambda status: status["nginx"]["problem"] is None)
    seen.append(shown(host.port))

    assert "refuses what is new of main" in status["nginx"]["problem"]
    assert seen == [serials[0], serials[0], serials[1]]
