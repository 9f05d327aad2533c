"""What an authority says of a certificate comes with the handshake, where the certificate names whom to ask."""

from __future__ import annotations

import base64
import datetime
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from kirsch.nginx import NginxControl
from kirsch.nginx.stapling import can_staple
from kirsch.spec import HostPaths

NOW = datetime.datetime.now(datetime.UTC)
VHOST = (
    '[vhost.main]\nnames = ["a.example"]\nlisten = ["127.0.0.1:{port} tls"]\n[vhost.main.tls]\n'
    'certificate = "shared/tls/a.pem"\nkey = "shared/tls/a.key"\n{more}'
)


class Authority:
    """Gives out certificates, and says of each that it is good."""

    def __init__(self, name: str = "authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._made(self.name, self.key.public_key(), None)
        self.asked = 0

    def issue(self, responder: str | None) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """A certificate for a.example that names *responder*."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example")])
        return self._made(name, key.public_key(), responder), key

    def answer(self, request: bytes, certificate: x509.Certificate) -> bytes:
        """The response to *request*: good, for an hour."""
        self.asked += 1
        asked = ocsp.load_der_ocsp_request(request)
        assert asked.serial_number == certificate.serial_number
        response = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate,
            issuer=self.certificate,
            algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=NOW,
            next_update=NOW + datetime.timedelta(hours=1),
            revocation_time=None,
            revocation_reason=None,
        )
        signed = response.responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate).sign(
            self.key, hashes.SHA256()
        )
        return signed.public_bytes(serialization.Encoding.DER)

    def _made(self, name: x509.Name, key: ec.EllipticCurvePublicKey, responder: str | None) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - datetime.timedelta(hours=1))
            .not_valid_after(NOW + datetime.timedelta(days=1))
        )
        if responder is not None:
            access = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    """A chain as nginx reads it."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def put(paths: HostPaths, chain: bytes, key: ec.EllipticCurvePrivateKey) -> None:
    """Where the stack names them."""
    folder = Path(paths.shared, "tls")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.pem").write_bytes(chain)
    form = serialization.PrivateFormat.PKCS8
    (folder / "a.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


@pytest.fixture
def authority() -> Authority:
    """One that nobody knows but us."""
    return Authority()


@pytest.fixture
def responder(authority: Authority) -> Iterator[Any]:
    """Its ear on the loopback interface; ``certificate`` is what it is asked about."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # RFC 6960, A.1
            said = authority.answer(base64.b64decode(unquote(self.path[1:])), server.certificate)  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Type", "application/ocsp-response")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test counts."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def status_of(port: int) -> str:
    """What openssl hears of the certificate's state in a handshake."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl asks for the state"
    command = [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "a.example", "-status"]
    ran = subprocess.run(command, capture_output=True, text=True, input="", timeout=30, check=False)
    return ran.stdout


@pytest.mark.nginx
def test_the_state_comes_with_the_handshake(
    serve: Callable[..., Any], control: NginxControl, free_port: Callable[[], int], authority: Authority, responder: Any
) -> None:
    """It is asked for after the first client; the next ones get the answer, signed by the authority."""
    port = free_port()
    responder.certificate, key = authority.issue(f"http://127.0.0.1:{responder.server_port}/")
    put(control.paths, pem(responder.certificate, authority.certificate), key)
    serve(VHOST.format(port=port, more=""))
    deadline = time.monotonic() + 30
    while "OCSP Response Status: successful" not in (said := status_of(port)) and time.monotonic() < deadline:
        assert "no response sent" in said

    assert "Cert Status: good" in said
    assert authority.asked >= 1


@pytest.mark.nginx
@pytest.mark.parametrize(
    ("responder_of", "has_issuer", "more"),
    [
        (None, True, ""),
        ("http://127.0.0.1:9/", False, ""),
        ("http://127.0.0.1:9/", True, "stapling = false\n"),
        ("http://nobody.invalid/", True, ""),
    ],
    ids=["nobody to ask", "no issuer in the file", "not wanted", "a name without an address"],
)
def test_where_nothing_can_be_stapled_the_site_serves(
    serve: Callable[..., Any],
    control: NginxControl,
    free_port: Callable[[], int],
    authority: Authority,
    responder_of: str | None,
    has_issuer: bool,
    more: str,
) -> None:
    """Without a word of warning that would hold the vhost back."""
    port = free_port()
    certificate, key = authority.issue(responder_of)
    put(control.paths, pem(certificate, *([authority.certificate] if has_issuer else [])), key)
    serve(VHOST.format(port=port, more=more))

    assert "no response sent" in status_of(port)


def test_only_whole_chains_can_be_stapled(authority: Authority) -> None:
    """The certificate names whom to ask, and the issuer is the one that signed it."""
    certificate, _ = authority.issue("http://127.0.0.1:9/")
    plain, _ = authority.issue(None)
    stranger = Authority("stranger").certificate

    assert can_staple(pem(certificate, authority.certificate))
    assert can_staple(pem(certificate, stranger, authority.certificate))
    for chain in (
        pem(certificate),
        pem(certificate, stranger),
        pem(plain, authority.certificate),
        pem(authority.certificate),
    ):
        assert not can_staple(chain)


@pytest.mark.parametrize("text", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"])
def test_what_is_no_chain_is_left_to_nginx(text: bytes) -> None:
    """It has the words for that."""
    assert not can_staple(text)


def test_a_chain_that_is_cut_anywhere_is_no_chain(authority: Authority) -> None:
    """Half a certificate is never read as a whole one, and never ends in an exception."""
    certificate, _ = authority.issue("http://127.0.0.1:9/")
    der = certificate.public_bytes(serialization.Encoding.DER)
    for length in range(0, len(der) - 200, 7):
        cut = base64.encodebytes(der[:length])
        text = b"-----BEGIN CERTIFICATE-----\n" + cut + b"-----END CERTIFICATE-----\n"

        assert not can_staple(text)
