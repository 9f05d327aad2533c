"""Certificates for tests, and a client that believes them."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme


@dataclass(frozen=True)
class Issued:
    """A certificate with its key: separate files, and one with both."""

    cert: str
    key: str
    both: str
    pem: str


class Pki:
    """An authority that signs what it is asked to."""

    def __init__(self, folder: Path, name: str = "ca", parent: trustme.CA | None = None) -> None:
        self.folder = folder
        self.authority = parent.create_child_ca() if parent else trustme.CA(organization_name=f"{name} of the tests")
        self.ca = str(folder / f"{name}.pem")
        self.authority.cert_pem.write_to_path(self.ca)

    def issue(self, *names: str, file: str = "", **subject: str) -> Issued:
        """A certificate for *names*, in files called *file* (else by the first name)."""
        made = self.authority.issue_cert(*names, **subject)
        stem = file or names[0].replace("*", "any")
        cert, key, both = (str(self.folder / f"{stem}.{end}") for end in ("crt", "key", "pem"))
        made.cert_chain_pems[0].write_to_path(cert)
        made.private_key_pem.write_to_path(key)
        made.private_key_and_cert_chain_pem.write_to_path(both)
        return Issued(cert, key, both, Path(cert).read_text())

    def context(self, client: Issued | None = None) -> ssl.SSLContext:
        """For clients that trust this authority, and show the certificate of *client*."""
        context = ssl.create_default_context(cafile=self.ca)
        if client is not None:
            context.load_cert_chain(client.both)
        return context

    def connect(
        self, address: Any, name: str | None = "localhost", context: ssl.SSLContext | None = None
    ) -> ssl.SSLSocket:
        """A TLS connection to *address*, which must have a certificate for *name*."""
        plain = socket.create_connection(address, timeout=10)
        try:
            return (context or self.context()).wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise


def names_in(sock: ssl.SSLSocket) -> list[str]:
    """The DNS names in the certificate that the server has shown."""
    shown = sock.getpeercert()
    assert shown is not None
    return [str(value) for kind, value in shown["subjectAltName"] if kind == "DNS"]
