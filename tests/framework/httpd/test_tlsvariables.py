"""What applications are told about a TLS session, and who is let in."""

from __future__ import annotations

import json
import re
import ssl
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from cherrypy.httpd.credentials import Identities, Identity, make_context
from cherrypy.httpd.gateway import WSGIGateway
from cherrypy.httpd.listener import Listener
from cherrypy.httpd.tls import TLS
from cherrypy.httpd.tlsvariables import certificate_variables

from ..pki import Issued, Pki, names_in
from .conftest import Client, Running, Serve

DECODED = {
    "subject": (
        (("countryName", "DE"),),
        (("organizationName", "Über & Söhne"), ("organizationalUnitName", "one")),
        (("organizationalUnitName", "two"),),
        (("commonName", "Alice, A."),),
        (("emailAddress", "alice@example.test"),),
        (("1.2.3.4", "five"),),
    ),
    "issuer": ((("commonName", "The CA"),),),
    "version": 3,
    "serialNumber": "0A1B",
    "notBefore": "Jan  1 00:00:00 2000 GMT",
    "notAfter": "Jan  1 00:00:00 3000 GMT",
    "subjectAltName": (
        ("DNS", "a.test"),
        ("email", "a@a.test"),
        ("DNS", "*.b.test"),
        ("IP Address", "127.0.0.1"),
        ("email", "b@a.test"),
    ),
}


def show(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with the variables of the session."""
    start_response("200 OK", [])
    return [json.dumps({key: environ[key] for key in environ if key.startswith(("SSL", "HTTPS"))}).encode()]


def secure(serve: Serve, given: Any) -> Running:
    """A WSGI server that shows what it is told."""
    return serve(WSGIGateway(show), bind=[Listener(("127.0.0.1", 0), tls=TLS(given))])


def told(running: Running, pki: Pki, name: str = "localhost", context: ssl.SSLContext | None = None) -> dict[str, str]:
    """The variables of one request."""
    with Client(pki.connect(running.server.bind_addr, name, context)) as client:
        found: dict[str, str] = json.loads(client.get().body)
    return found


@pytest.fixture(scope="module")
def localhost(pki: Pki) -> Issued:
    """A certificate for localhost."""
    return pki.issue("localhost", "www.example.test", common_name="localhost", file="variables")


@pytest.fixture(scope="module")
def alice(pki: Pki) -> Issued:
    """The certificate of a client."""
    return pki.issue("alice@example.test", "alice.test", common_name="Alice", organization_name="Wonderland")


def test_a_certificate_in_variables() -> None:
    """Every kind, by mod_ssl's names; parts that come several times are numbered."""
    found = certificate_variables("X", DECODED, "PEM\n")

    remain = int(found.pop("X_V_REMAIN"))
    assert remain == (datetime(3000, 1, 1, tzinfo=UTC) - datetime.now(UTC)).days
    assert found == {
        "X_CERT": "PEM",
        "X_M_VERSION": "3",
        "X_M_SERIAL": "0A1B",
        "X_V_START": "Jan  1 00:00:00 2000 GMT",
        "X_V_END": "Jan  1 00:00:00 3000 GMT",
        "X_S_DN": "C=DE,O=Über & Söhne,OU=one,OU=two,CN=Alice, A.,Email=alice@example.test,1.2.3.4=five",
        "X_S_DN_C": "DE",
        "X_S_DN_O": "Über & Söhne",
        "X_S_DN_OU": "one",
        "X_S_DN_OU_0": "one",
        "X_S_DN_OU_1": "two",
        "X_S_DN_CN": "Alice, A.",
        "X_S_DN_Email": "alice@example.test",
        "X_S_DN_1.2.3.4": "five",
        "X_I_DN": "CN=The CA",
        "X_I_DN_CN": "The CA",
        "X_SAN_DNS_0": "a.test",
        "X_SAN_DNS_1": "*.b.test",
        "X_SAN_Email_0": "a@a.test",
        "X_SAN_Email_1": "b@a.test",
    }


def test_a_certificate_that_has_expired_or_says_nothing() -> None:
    """No days are left then, or nothing but the certificate is known."""
    assert certificate_variables("X", {"notAfter": "Jan  1 00:00:00 2001 GMT"}, "")["X_V_REMAIN"] == "0"
    assert certificate_variables("X", {}, "PEM\n") == {"X_CERT": "PEM"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_session_and_the_server(serve: Serve, localhost: Issued, pki: Pki, version: ssl.TLSVersion) -> None:
    """All that is documented, for a client without a certificate."""
    running = secure(serve, Identities(Identity(make_context(localhost.both), localhost.both)))
    context = pki.context()
    context.minimum_version = context.maximum_version = version

    found = told(running, pki, context=context)

    is_1_3 = version is ssl.TLSVersion.TLSv1_3
    assert found["HTTPS"] == "on"
    assert found["SSL_PROTOCOL"] == ("TLSv1.3" if is_1_3 else "TLSv1.2")
    assert found["SSL_CIPHER"] == ("TLS_AES_256_GCM_SHA384" if is_1_3 else "ECDHE-ECDSA-AES256-GCM-SHA384")
    assert (found["SSL_CIPHER_EXPORT"], found["SSL_COMPRESS_METHOD"]) == ("", "NULL")
    assert found["SSL_CIPHER_USEKEYSIZE"] == found["SSL_CIPHER_ALGKEYSIZE"] == "256"
    assert found["SSL_VERSION_INTERFACE"].startswith("Python 3.")
    assert found["SSL_VERSION_LIBRARY"] == ssl.OPENSSL_VERSION
    assert (found["SSL_CLIENT_VERIFY"], found["SSL_TLS_SNI"]) == ("NONE", "localhost")
    assert re.fullmatch("([0-9a-f]{2})*", found["SSL_SESSION_ID"])
    assert found["SSL_SESSION_RESUMED"] == "Initial"
    assert found["SSL_SERVER_CERT"] == localhost.pem.strip()
    assert found["SSL_SERVER_S_DN_CN"] == found["SSL_SERVER_SAN_DNS_0"] == "localhost"
    assert found["SSL_SERVER_SAN_DNS_1"] == "www.example.test"
    assert found["SSL_SERVER_I_DN_O"] == "ca of the tests"
    for key in ("M_VERSION", "M_SERIAL", "V_START", "V_END", "V_REMAIN", "S_DN", "I_DN"):
        assert found[f"SSL_SERVER_{key}"]
    assert not any(key.startswith("SSL_CLIENT_") and key != "SSL_CLIENT_VERIFY" for key in found)


def test_variables_are_made_once_for_a_connection(serve: Serve, localhost: Issued, pki: Pki) -> None:
    """A hundred requests cost no more of it than one."""
    seen: list[dict[str, str]] = []

    def respond(message: Any) -> Any:
        seen.append(message.connection.tls_environ())
        return b"200 OK", [], [b""], None

    running = serve(respond, bind=[Listener(("127.0.0.1", 0), tls=TLS(make_context(localhost.both)))])
    with Client(pki.connect(running.server.bind_addr)) as client:
        client.get()
        client.get()

    assert seen[0] is seen[1]


def test_a_resumed_session_says_so(serve: Serve, localhost: Issued, alice: Issued, pki: Pki) -> None:
    """And still knows whose it is."""
    running = secure(serve, make_context(localhost.both, client_ca=pki.ca, client_verify="required"))
    context = pki.context(alice)
    first = pki.connect(running.server.bind_addr, context=context)
    with Client(first) as client:
        client.get()
        context.sslsocket_class = _resuming(first.session)
        found = told(running, pki, context=context)

    assert found["SSL_SESSION_RESUMED"] == "Resumed"
    assert (found["SSL_CLIENT_VERIFY"], found["SSL_CLIENT_S_DN_CN"]) == ("SUCCESS", "Alice")


def _resuming(session: Any) -> type[ssl.SSLSocket]:
    class Resuming(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            self.session = session
            super().do_handshake(block)

    return Resuming


@pytest.mark.parametrize("verify", ["optional", "required"])
def test_a_client_with_a_certificate(serve: Serve, localhost: Issued, alice: Issued, pki: Pki, verify: str) -> None:
    """All of it is told."""
    running = secure(serve, make_context(localhost.both, client_ca=pki.ca, client_verify=verify))

    found = told(running, pki, context=pki.context(alice))

    assert found["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert found["SSL_CLIENT_CERT"] == alice.pem.strip()
    assert found["SSL_CLIENT_S_DN"].startswith("O=Wonderland,OU=")
    assert (found["SSL_CLIENT_S_DN_CN"], found["SSL_CLIENT_S_DN_O"]) == ("Alice", "Wonderland")
    assert (found["SSL_CLIENT_SAN_Email_0"], found["SSL_CLIENT_SAN_DNS_0"]) == ("alice@example.test", "alice.test")
    assert found["SSL_CLIENT_I_DN_O"] == "ca of the tests"
    for key in ("M_VERSION", "M_SERIAL", "V_START", "V_END", "V_REMAIN"):
        assert found[f"SSL_CLIENT_{key}"]


def test_a_client_without_one(serve: Serve, localhost: Issued, pki: Pki) -> None:
    """Goes on where that is optional, and gets an alert where it is required."""
    optional = secure(serve, make_context(localhost.both, client_ca=pki.ca, client_verify="optional"))
    required = secure(serve, make_context(localhost.both, client_ca=pki.ca, client_verify="required"))

    assert told(optional, pki)["SSL_CLIENT_VERIFY"] == "NONE"
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"):
        told(required, pki)


@pytest.mark.parametrize("verify", ["optional", "required"])
def test_a_client_of_another_authority(
    serve: Serve, localhost: Issued, pki: Pki, verify: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Is not let in, even where none is required: nobody vouches for it."""
    stranger = Pki(tmp_path_factory.mktemp("stranger")).issue("mallory.test")
    running = secure(serve, make_context(localhost.both, client_ca=pki.ca, client_verify=verify))

    with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca"):
        told(running, pki, context=pki.context(stranger))


def test_a_client_cannot_name_itself(serve: Serve, localhost: Issued, pki: Pki) -> None:
    """Header fields never look like variables of the session."""
    running = secure(serve, make_context(localhost.both))
    with Client(pki.connect(running.server.bind_addr)) as client:
        found = json.loads(client.get(extra="SSL-Client-S-DN-CN: root\r\nSSL-Client-Verify: SUCCESS\r\n").body)

    assert found["SSL_CLIENT_VERIFY"] == "NONE"
    assert "SSL_CLIENT_S_DN_CN" not in found


def test_a_certificate_for_each_name(serve: Serve, localhost: Issued, pki: Pki) -> None:
    """The client is shown the one for the name it asks for; the application is told which."""
    one, many = pki.issue("one.test"), pki.issue("*.many.test")
    named = {issued: Identity(make_context(issued.both), issued.both) for issued in (localhost, one, many)}
    running = secure(serve, Identities(named[localhost], {"one.test": named[one], "*.many.test": named[many]}))

    for asked, shown in (("one.test", "one.test"), ("a.many.test", "*.many.test"), ("localhost", "localhost")):
        found = told(running, pki, asked)

        assert (found["SSL_TLS_SNI"], found["SSL_SERVER_SAN_DNS_0"]) == (asked, shown)


def test_the_default_certificate(serve: Serve, localhost: Issued, pki: Pki) -> None:
    """Is for clients that name no server, and for names that nobody knows."""
    one = pki.issue("one.test")
    running = secure(
        serve, Identities(Identity(make_context(localhost.both)), {"one.test": Identity(make_context(one.both))})
    )
    lenient = pki.context()
    lenient.check_hostname = False
    for asked in ("unknown.test", None):
        with pki.connect(running.server.bind_addr, asked, lenient) as sock:
            assert "localhost" in names_in(sock)


def test_the_callback_of_a_context_of_ones_own_is_kept(serve: Serve, localhost: Issued, pki: Pki) -> None:
    """It may choose certificates as it does elsewhere, after any number of restarts; the name is told all the same."""
    one = pki.issue("one.test")
    other = make_context(one.both)
    context = make_context(localhost.both)
    asked = []

    def choose(sock: ssl.SSLSocket, name: str | None, given: ssl.SSLContext) -> None:
        asked.append(name)
        if name == "one.test":
            sock.context = other

    context.sni_callback = choose
    for _ in range(2 * sys.getrecursionlimit()):
        TLS(context)

    found = told(secure(serve, context), pki, "one.test")

    assert found["SSL_TLS_SNI"] == "one.test"
    assert asked == ["one.test"]
