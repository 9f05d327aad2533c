"""Certificates with their keys: PEM files that were read and checked, and which of them a client is shown."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

#: Whether clients are asked for a certificate, and whether they may go on without one.
CLIENT_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
#: Protocols that are agreed on with clients which ask (RFC 7301).
ALPN = ("http/1.1",)

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
# The ssl module decodes certificates of peers only. This has been in it since Python 2.6, for its own tests; where it
# is not, no variables describe the server's certificate, and certificates must be given with their names.
_decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)


class CredentialsError(OSError):
    """A file or a list for TLS cannot be used.

    Attributes:
        part: what it was given as: "certificate", "private_key", "chain", "client_ca" or "ciphers".
        value: the path, or the cipher list.
        reason: what is wrong with it.
    """

    def __init__(self, part: str, value: str, reason: str, errno: int | None = None) -> None:
        super().__init__(errno, f"{part}={value!r}: {reason}")
        self.part = part
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class Files:
    """PEM files: a certificate, its key (None: in the same file), and those between it and the authority's."""

    certificate: str
    private_key: str | None = None
    chain: str | None = None


class Identity:
    """A certificate with its key, ready for handshakes.

    Args:
        context: shows it.
        certificate: the file it came from; None for a context that somebody else made.
    """

    def __init__(self, context: ssl.SSLContext, certificate: str | None = None) -> None:
        self.context = context
        self.pem = ""
        self.decoded: dict[str, Any] = {}
        if certificate is not None:
            self.pem = _certificates("certificate", certificate)[0].decode("ascii")
            self.decoded = _decode(certificate) if _decode is not None else {}

    @cached_property
    def key_bits(self) -> dict[str, int]:
        """The key length of each cipher, by its name."""
        return {str(cipher["name"]): int(cipher["alg_bits"]) for cipher in self.context.get_ciphers()}

    @property
    def names(self) -> list[str]:
        """The DNS names that the certificate is for."""
        alternatives = [value for kind, value in self.decoded.get("subjectAltName", ()) if kind == "DNS"]
        subject = [pair for part in self.decoded.get("subject", ()) for pair in part]
        return alternatives or [value for name, value in subject if name == "commonName"]


class Identities:
    """All certificates of a listener.

    Args:
        default: shown to clients that name no server, or one that is not known.
        named: by DNS name; ``*.example.com`` stands for one label in the place of the asterisk (RFC 6125, 6.4.3).
    """

    def __init__(self, default: Identity, named: Mapping[str, Identity] | None = None) -> None:
        self.default = default
        self._named = {name.lower().rstrip("."): identity for name, identity in (named or {}).items()}
        self._by_context = {id(one.context): one for one in (default, *self._named.values())}

    def shown_to(self, server_name: str | None) -> Identity:
        """The one for a client that asks for *server_name*."""
        if not self._named or not server_name:
            return self.default
        name = server_name.lower().rstrip(".")
        found = self._named.get(name) or self._named.get("*." + name.partition(".")[2])
        return found or self.default

    def of(self, context: ssl.SSLContext) -> Identity | None:
        """The one with *context*; None for a context of somebody else's."""
        return self._by_context.get(id(context))


def make_context(
    certificate: str,
    private_key: str | None = None,
    chain: str | None = None,
    ciphers: str | None = None,
    *,
    client_ca: str | None = None,
    client_verify: str = "none",
) -> ssl.SSLContext:
    """A server-side context from PEM files: TLS 1.2 and newer, no compression, no renegotiation, ALPN.

    Args:
        certificate: a file, see ``Files``.
        private_key: likewise.
        chain: likewise.
        ciphers: OpenSSL cipher list for TLS 1.2; 1.3 has its own.
        client_ca: PEM certificates of the authorities that sign those of clients.
        client_verify: a key of ``CLIENT_VERIFY``.

    Raises:
        CredentialsError: a file is missing, or does not contain what it should, or does not fit the others.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(ALPN))
    _load(context, Files(certificate, private_key, chain))
    if ciphers:
        try:
            context.set_ciphers(ciphers)
        except ssl.SSLError as error:
            raise CredentialsError("ciphers", ciphers, "OpenSSL knows no cipher of that list") from error
    if client_ca:
        _certificates("client_ca", client_ca)
        try:
            context.load_verify_locations(cafile=client_ca)
        except ssl.SSLError as error:
            raise CredentialsError("client_ca", client_ca, _said_by(error)) from error
    context.verify_mode = CLIENT_VERIFY[client_verify]
    return context


def _load(context: ssl.SSLContext, files: Files) -> None:
    own = _certificates("certificate", files.certificate)
    key_part, key_file = ("private_key", files.private_key) if files.private_key else ("certificate", files.certificate)
    keys = [text for label, text in _blocks(key_part, key_file) if label.endswith(b"PRIVATE KEY")]
    if not keys:
        raise CredentialsError(key_part, key_file, "there is no private key in PEM format in it")
    if any(b"ENCRYPTED" in text[:200] for text in keys):
        # SECURITY: OpenSSL would ask for the password at the terminal, and hang.
        raise CredentialsError(key_part, key_file, "its private key is encrypted; a server needs one without password")
    chain = _certificates("chain", files.chain) if files.chain else []
    try:
        with tempfile.NamedTemporaryFile(prefix="chain-", suffix=".pem") as joined:
            # What is in both files is sent once. Not by way of the trusted authorities, where OpenSSL looks too:
            # SECURITY: then whoever signed our certificate could sign certificates of clients.
            joined.write(b"\n".join([*own, *(one for one in chain if one not in own)]) + b"\n")
            joined.flush()
            context.load_cert_chain(joined.name, key_file, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = f"the private key does not belong to the certificate {os.fspath(files.certificate)!r}"
            raise CredentialsError(key_part, key_file, reason) from error
        raise CredentialsError("certificate", files.certificate, _said_by(error)) from error


def _certificates(part: str, path: str) -> list[bytes]:
    found = [text for label, text in _blocks(part, path) if label in _CERTIFICATES]
    if not found:
        raise CredentialsError(part, path, "there is no certificate in PEM format in it")
    return found


def _blocks(part: str, path: str) -> list[tuple[bytes, bytes]]:
    """The (label, text) of all PEM blocks in a file."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise CredentialsError(part, path, error.strerror or str(error), error.errno) from error
    return [(match[1], match[0]) for match in _PEM.finditer(data)]


def _said_by(error: ssl.SSLError) -> str:
    return f"OpenSSL says {(error.reason or str(error)).lower().replace('_', ' ')!r}"
