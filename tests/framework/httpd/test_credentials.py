"""Certificates from files: what is made of them, and what is said when they are wrong."""

from __future__ import annotations

import errno
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cherrypy.httpd import credentials
from cherrypy.httpd.credentials import CredentialsError, Identities, Identity, make_context

from ..pki import Issued, Pki


@pytest.fixture(scope="module")
def localhost(pki: Pki) -> Issued:
    """A certificate for localhost."""
    return pki.issue("localhost", "127.0.0.1", "www.example.test")


def chain_shown_by(context: ssl.SSLContext, pki: Pki) -> ssl.SSLObject:
    """A client's side of a handshake with *context*, in memory; it trusts the authority alone."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = pki.context().wrap_bio(to_client, to_server, server_hostname="localhost")
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client


def test_a_context_is_safe(localhost: Issued) -> None:
    """TLS 1.2 at least, neither compression nor renegotiation, and no client is asked for a certificate."""
    context = make_context(localhost.cert, localhost.key)

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.verify_mode == ssl.CERT_NONE


def test_certificate_and_key_in_one_file(localhost: Issued, pki: Pki) -> None:
    """The key need not be named then."""
    assert chain_shown_by(make_context(localhost.both), pki).version() == "TLSv1.3"


def test_the_chain_is_sent(pki: Pki, tmp_path: Path) -> None:
    """A client that knows the root alone believes a certificate of an authority in between."""
    below = Pki(tmp_path, "between", pki.authority)
    issued = below.issue("localhost")

    complete = chain_shown_by(make_context(issued.cert, issued.key, below.ca), pki)
    twice = chain_shown_by(make_context(issued.both, None, issued.both), pki)

    assert complete.version() == "TLSv1.3"
    assert twice.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        chain_shown_by(make_context(issued.cert, issued.key), pki)


def test_the_chain_is_no_authority_for_clients(localhost: Issued, pki: Pki) -> None:
    """Or whoever signed our certificate could sign those of clients."""
    context = make_context(localhost.cert, localhost.key, pki.ca)

    assert context.cert_store_stats()["x509"] == 0


def test_authorities_of_clients(localhost: Issued, pki: Pki) -> None:
    """Are loaded, and the clients asked as was said."""
    optional = make_context(localhost.both, client_ca=pki.ca, client_verify="optional")
    required = make_context(localhost.both, client_ca=pki.ca, client_verify="required")

    assert (optional.verify_mode, required.verify_mode) == (ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED)
    assert required.cert_store_stats()["x509_ca"] == 1


def wrong(localhost: Issued, pki: Pki, tmp_path: Path) -> dict[str, tuple[tuple[str | None, ...], dict[str, str]]]:
    """Arguments of ``make_context`` that cannot work."""
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no PEM")
    other = pki.issue("other.test")
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(Path(localhost.key).read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    damaged = tmp_path / "damaged.pem"
    damaged.write_text(localhost.pem.replace("MII", "AAA", 1))
    cert, secret, no = localhost.cert, localhost.key, str(nothing)
    return {
        "certificate: No such file": ((str(tmp_path / "x"), secret), {}),
        "certificate: Is a directory": ((str(tmp_path), secret), {}),
        "certificate: no certificate in PEM": ((no, secret), {}),
        "certificate: OpenSSL says": ((str(damaged), secret), {}),
        "certificate: no private key in PEM": ((cert,), {}),
        "private_key: No such file": ((cert, str(tmp_path / "x")), {}),
        "private_key: no private key in PEM": ((cert, no), {}),
        "private_key: does not belong to the certificate": ((cert, other.key), {}),
        "private_key: is encrypted": ((cert, str(locked)), {}),
        "chain: No such file": ((cert, secret, str(tmp_path / "x")), {}),
        "chain: no certificate in PEM": ((cert, secret, no), {}),
        "ciphers: OpenSSL knows no cipher": ((cert, secret, None, "no such cipher"), {}),
        "client_ca: No such file": ((cert, secret), {"client_ca": str(tmp_path / "x")}),
        "client_ca: no certificate in PEM": ((cert, secret), {"client_ca": no}),
        "client_ca: OpenSSL says": ((cert, secret), {"client_ca": str(damaged)}),
    }


def test_what_is_wrong_is_named(localhost: Issued, pki: Pki, tmp_path: Path) -> None:
    """What it was given as, its path, and the reason; an encrypted key never asks at the terminal."""
    for expected, (arguments, more) in wrong(localhost, pki, tmp_path).items():
        part, _, reason = expected.partition(": ")
        with pytest.raises(CredentialsError) as caught:
            make_context(*arguments, **more)  # type: ignore[arg-type]

        error = caught.value
        assert (error.part, reason in error.reason) == (part, True), (expected, error)
        assert str(error) == f"{error.part}={error.value!r}: {error.reason}"


def test_a_file_that_may_not_be_read(localhost: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys often belong to root."""

    def refuse(path: str, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(credentials, "open", refuse, raising=False)

    with pytest.raises(CredentialsError, match="Permission denied") as caught:
        make_context(localhost.cert, localhost.key)
    assert caught.value.errno == errno.EACCES


def test_an_identity_knows_its_certificate(localhost: Issued) -> None:
    """Names, text, and the key lengths of ciphers."""
    identity = Identity(make_context(localhost.both), localhost.both)

    assert identity.names == ["localhost", "www.example.test"]
    assert identity.pem.strip() == localhost.pem.strip()
    assert identity.key_bits["TLS_AES_128_GCM_SHA256"] == 128


def test_a_certificate_with_a_common_name_only(pki: Pki) -> None:
    """Old ones have no alternative names."""
    issued = pki.issue("someone@example.test", common_name="old.test", file="old")

    assert Identity(make_context(issued.both), issued.both).names == ["old.test"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, "default"),
        ("", "default"),
        ("a.test", "a"),
        ("A.TEST.", "a"),
        ("x.a.test", "any"),
        ("www.a.test", "www"),
        ("y.x.a.test", "default"),
        (".a.test", "any"),
        ("test", "default"),
        ("b.test", "default"),
    ],
)
def test_which_certificate_is_shown(asked: str | None, found: str) -> None:
    """An exact name wins; an asterisk is one label; the default is for all others."""
    made = {name: Identity(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) for name in ("default", "a", "any", "www")}
    identities = Identities(made["default"], {"a.test": made["a"], "*.A.test": made["any"], "www.a.test": made["www"]})

    assert identities.shown_to(asked) is made[found]
    assert identities.of(made[found].context) is made[found]
    assert identities.of(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) is None
