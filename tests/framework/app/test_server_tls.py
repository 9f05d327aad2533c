"""What the keys ``server.ssl_*`` do, and what is said when they cannot."""

from __future__ import annotations

import json
import re
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from cherrypy.app.server import Server
from cherrypy.httpd.tls import TLS, make_context

from ..pki import Issued, Pki, names_in

Logged = list[tuple[str, int]]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority for certificates."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def localhost(pki: Pki) -> Issued:
    """A certificate for localhost."""
    return pki.issue("localhost")


@pytest.fixture
def logged(server: Server) -> Logged:
    """What the bus of *server* logs, with the level."""
    found: Logged = []
    server.bus.subscribe("log", lambda text, level=20: found.append((text, level)))
    return found


def serve(server: Server, **settings: Any) -> None:
    """Start *server* anew with these settings."""
    if server.running:
        server.stop()
    server.httpserver = None
    for name in ("certificate", "private_key", "certificate_chain", "ciphers", "certificates", "client_ca"):
        setattr(server, f"ssl_{name}", None)
    server.ssl_context = server.ssl_client_verify = None
    for name, value in settings.items():
        setattr(server, f"ssl_{name}", value)
    server.start()


def ask(sock: ssl.SSLSocket) -> bytes:
    """One request on a connection that stays; the last line of its answer."""
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"hello"):
        piece = sock.recv(65536)
        assert piece, answer
        answer += piece
    return answer.rpartition(b"\r\n")[2]


def shown(server: Server, pki: Pki, name: str = "localhost") -> list[str]:
    """The names in the certificate for a client that asks for *name*."""
    with pki.connect(server.bound_addr, name) as sock:
        assert ask(sock) == b"hello"
        return names_in(sock)


def test_one_file_or_two(server: Server, client: Any, localhost: Issued, pki: Pki) -> None:
    """As text or as paths."""
    for settings in (
        {"certificate": localhost.cert, "private_key": localhost.key},
        {"certificate": Path(localhost.cert), "private_key": Path(localhost.key)},
        {"certificate": localhost.both},
        {"certificates": {"localhost": (localhost.cert, localhost.key)}},
        {"certificates": [localhost.both]},
    ):
        serve(server, **settings)

        assert shown(server, pki) == ["localhost"]
        assert server.base().startswith("https://")
        assert server.description.startswith("https://")


def test_a_chain_reaches_the_client(server: Server, client: Any, pki: Pki, tmp_path: Path) -> None:
    """Which knows the root alone; by either key."""
    below = Pki(tmp_path, "between", pki.authority)
    issued = below.issue("localhost")
    for settings in (
        {"certificate": issued.cert, "private_key": issued.key, "certificate_chain": below.ca},
        {"certificates": [(issued.cert, issued.key, below.ca)]},
    ):
        serve(server, **settings)

        assert shown(server, pki) == ["localhost"]


def test_ciphers(server: Server, client: Any, localhost: Issued, pki: Pki) -> None:
    """Hold for TLS 1.2."""
    serve(server, certificate=localhost.both, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    context = pki.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pki.connect(server.bound_addr, context=context) as sock:
        cipher = sock.cipher()

    assert cipher is not None
    assert cipher[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_certificates_by_name(server: Server, client: Any, localhost: Issued, pki: Pki) -> None:
    """By the names that were given, or those in the certificates; the default is ssl_certificate, else the first."""
    one, many = pki.issue("one.test", "uno.test"), pki.issue("*.many.test")
    pki_any = pki.context()
    pki_any.check_hostname = False

    serve(server, certificate=localhost.both, certificates={"one.test": (one.cert, one.key), "*.many.test": many.both})
    by_name = [shown(server, pki, name)[0] for name in ("one.test", "a.many.test", "localhost")]
    with pki.connect(server.bound_addr, "uno.test", pki_any) as sock:
        not_given = names_in(sock)
    serve(server, certificates=[one.both, (many.cert, many.key)])
    by_themselves = [shown(server, pki, name)[0] for name in ("one.test", "uno.test", "a.many.test")]
    with pki.connect(server.bound_addr, "localhost", pki_any) as sock:
        first = names_in(sock)

    assert by_name == ["one.test", "*.many.test", "localhost"]
    assert not_given == ["localhost"]
    assert by_themselves == ["one.test", "one.test", "*.many.test"]
    assert first == ["one.test", "uno.test"]


def test_client_certificates(server: Server, client: Any, localhost: Issued, pki: Pki) -> None:
    """Are required as soon as there is an authority for them, unless said otherwise."""
    alice = pki.issue("alice.test")
    one = pki.issue("one.test")
    for verify, enters in ((None, False), ("required", False), ("optional", True), ("none", True)):
        serve(server, certificate=localhost.both, certificates=[one.both], client_ca=pki.ca, client_verify=verify)
        for name in ("localhost", "one.test"):
            with pki.connect(server.bound_addr, name, pki.context(alice)) as sock:
                assert ask(sock) == b"hello"
            if enters:
                assert shown(server, pki, name) == [name]
            else:
                with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"):
                    shown(server, pki, name)


def test_a_context_of_ones_own(server: Server, client: Any, localhost: Issued, pki: Pki) -> None:
    """Serves as it is, without any other key; what the user loads into it later holds for new connections."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(localhost.both)
    serve(server, context=context)
    before = shown(server, pki)
    context.load_cert_chain(pki.issue("localhost", "fresh.test", file="fresh").both)

    assert before == ["localhost"]
    assert shown(server, pki) == ["localhost", "fresh.test"]
    assert server.base().startswith("https://")
    assert server.httpserver.ssl_adapter.context is context


def test_an_adapter_with_a_context_is_adopted(server: Server, client: Any, localhost: Issued, pki: Pki) -> None:
    """As applications assign them to the server object; what has none cannot serve, and is named."""
    adapter = SimpleNamespace(context=make_context(localhost.both))
    server.httpserver, _ = server.httpserver_from_self()
    server.httpserver.ssl_adapter = adapter
    server.start()

    assert shown(server, pki) == ["localhost"]
    server.stop()
    server.httpserver.ssl_adapter = "pyopenssl"
    with pytest.raises(TypeError, match=r"ssl_adapter is 'pyopenssl'.*'context'"):
        server.start()


def wrong(localhost: Issued, pki: Pki, tmp_path: Path) -> list[tuple[dict[str, Any], str]]:
    """Settings that cannot work, and what is said."""
    other = pki.issue("other.test")
    nameless = pki.issue("someone@example.test", file="nameless")
    no = str(tmp_path / "no.pem")
    cert, key = localhost.cert, localhost.key
    own = make_context(localhost.both)
    return [
        ({"private_key": key}, "server.ssl_private_key is set, server.ssl_certificate is not"),
        ({"client_ca": pki.ca}, "server.ssl_client_ca is set, server.ssl_certificate is not"),
        ({"certificate": no}, f"server.ssl_certificate={no!r}: No such file"),
        ({"certificate": cert}, f"server.ssl_certificate={cert!r}: there is no private key"),
        ({"certificate": cert, "private_key": no}, f"server.ssl_private_key={no!r}: No such file"),
        ({"certificate": cert, "private_key": cert}, f"server.ssl_private_key={cert!r}: there is no private key"),
        (
            {"certificate": cert, "private_key": other.key},
            f"server.ssl_private_key={other.key!r}: the private key does not belong to the certificate {cert!r}",
        ),
        (
            {"certificate": localhost.both, "certificate_chain": key},
            f"server.ssl_certificate_chain={key!r}: there is no certificate",
        ),
        ({"certificate": localhost.both, "ciphers": "none such"}, "server.ssl_ciphers='none such': OpenSSL knows no"),
        ({"certificate": localhost.both, "client_ca": no}, f"server.ssl_client_ca={no!r}: No such file"),
        (
            {"certificate": localhost.both, "client_verify": "required"},
            "server.ssl_client_verify is 'required', server.ssl_client_ca is not set",
        ),
        (
            {"certificates": {"a.test": (cert, other.key)}},
            f"server.ssl_certificates['a.test'], private_key {other.key!r}: the private key does not belong",
        ),
        ({"certificates": [localhost.both, no]}, f"server.ssl_certificates[1], certificate {no!r}: No such file"),
        ({"certificates": [nameless.both]}, "server.ssl_certificates[0]: the certificate names no server"),
        ({"context": own, "client_ca": pki.ca}, "server.ssl_client_ca is set beside server.ssl_context"),
        ({"context": own, "certificate": no}, f"server.ssl_certificate={no!r}: No such file"),
        ({"context": pki.context()}, "server.ssl_context is for clients"),
    ]


def test_what_is_wrong_is_said_at_the_start(
    server: Server, client: Any, localhost: Issued, pki: Pki, tmp_path: Path
) -> None:
    """With the key, the path, and the reason; nothing is left half started."""
    for settings, text in wrong(localhost, pki, tmp_path):
        with pytest.raises((OSError, ValueError), match=re.escape(text)):
            serve(server, **settings)

        assert not server.running
    serve(server)
    assert client.ask()[1] == b"hello"


def copied(issued: Issued, folder: Path, name: str) -> tuple[str, str]:
    """Certificate and key under names that do not change."""
    paths = str(folder / f"{name}.crt"), str(folder / f"{name}.key")
    shutil.copy(issued.cert, paths[0])
    shutil.copy(issued.key, paths[1])
    return paths


def test_graceful_reads_certificates_again(
    server: Server, client: Any, localhost: Issued, pki: Pki, tmp_path: Path, logged: Logged
) -> None:
    """New connections get the new ones; those that are open go on, and no request is lost."""
    one = pki.issue("one.test")
    certificate, key = copied(localhost, tmp_path, "default")
    serve(server, certificate=certificate, private_key=key, certificates={"one.test": copied(one, tmp_path, "one")})
    with pki.connect(server.bound_addr) as open_before:
        assert ask(open_before) == b"hello"
        copied(pki.issue("localhost", "second.test", file="second"), tmp_path, "default")
        copied(pki.issue("one.test", "uno.test", file="uno"), tmp_path, "one")
        server.bus.publish("graceful")

        assert ask(open_before) == b"hello"
        assert shown(server, pki) == ["localhost", "second.test"]
        assert shown(server, pki, "one.test") == ["one.test", "uno.test"]
    assert (f"Read the certificates of {server.description} again", 20) in logged


def test_a_broken_certificate_is_not_taken(
    server: Server, client: Any, localhost: Issued, pki: Pki, tmp_path: Path, logged: Logged
) -> None:
    """The old one serves on, the log names the file; put right, it is taken the next time."""
    certificate, key = copied(localhost, tmp_path, "default")
    serve(server, certificate=certificate, private_key=key)
    fresh = pki.issue("localhost", "fresh.test", file="fresh")
    shutil.copy(fresh.cert, certificate)  # and not its key
    server.bus.publish("graceful")
    kept = shown(server, pki)
    Path(certificate).unlink()
    server.bus.publish("graceful")
    kept_again = shown(server, pki)
    copied(fresh, tmp_path, "default")
    server.bus.publish("graceful")

    errors = [text for text, level in logged if level == 40]
    assert kept == kept_again == ["localhost"]
    assert shown(server, pki) == ["localhost", "fresh.test"]
    assert f"server.ssl_private_key={key!r}: the private key does not belong" in errors[0]
    assert f"server.ssl_certificate={certificate!r}: No such file" in errors[1]
    assert all(text.startswith(f"The certificates of {server.description} stay as they were: ") for text in errors)


def test_graceful_leaves_other_servers_alone(
    server: Server, client: Any, localhost: Issued, logged: Logged, pki: Pki
) -> None:
    """Plain ones, contexts of one's own, those that have stopped, and those that have left the bus."""
    serve(server)
    server.bus.publish("graceful")
    serve(server, context=make_context(localhost.both))
    server.bus.publish("graceful")
    serve(server, certificate=localhost.both)
    server.stop()
    server.bus.publish("graceful")
    server.start()
    server.unsubscribe()
    server.bus.publish("graceful")

    assert [text for text, _ in logged if "certificates" in text] == []
    assert shown(server, pki) == ["localhost"]


def test_a_restart_reads_settings_and_certificates_again(
    server: Server, client: Any, localhost: Issued, pki: Pki, tmp_path: Path
) -> None:
    """Although the server object is kept."""
    certificate, key = copied(localhost, tmp_path, "default")
    serve(server, certificate=certificate, private_key=key)
    server.stop()
    copied(pki.issue("localhost", "second.test", file="second"), tmp_path, "default")
    server.start()
    renewed = shown(server, pki)
    server.stop()
    server.ssl_certificate = server.ssl_private_key = None
    server.start()
    plain = client.ask()[1]
    server.stop()
    server.ssl_certificate = localhost.both
    server.start()

    assert renewed == ["localhost", "second.test"]
    assert plain == b"hello"
    assert shown(server, pki) == ["localhost"]


@pytest.mark.parametrize("by_wsgi", [False, True])
def test_applications_are_told(
    server: Server, localhost: Issued, pki: Pki, site: Any, monkeypatch: pytest.MonkeyPatch, by_wsgi: bool
) -> None:
    """The same on the native path as through WSGI; and ``request.scheme`` is https."""

    class Root:
        @cherrypy.expose
        @cherrypy.tools.json_out()
        def index(self) -> dict[str, Any]:
            environ = cherrypy.request.wsgi_environ
            told = {key: value for key, value in environ.items() if key.startswith(("SSL", "HTTPS"))}
            return {**told, "scheme": cherrypy.request.scheme, "base": cherrypy.request.base}

    site.mount(Root())
    monkeypatch.setattr(Server, "current_responder", staticmethod(lambda: site.respond))
    monkeypatch.setattr(Server, "current_app", staticmethod(lambda: None))
    server.ssl_certificate, server.ssl_client_ca = localhost.both, pki.ca
    server.httpserver, _ = server.httpserver_from_self()
    if by_wsgi:
        server.httpserver.wsgi_app = site.tree
    server.start()
    alice = pki.issue("alice@example.test", common_name="Alice")
    with pki.connect(server.bound_addr, context=pki.context(alice)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))

    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (told["scheme"], told["base"]) == ("https", "https://localhost")
    assert (told["SSL_CLIENT_VERIFY"], told["SSL_CLIENT_S_DN_CN"]) == ("SUCCESS", "Alice")
    assert (told["SSL_TLS_SNI"], told["SSL_SERVER_SAN_DNS_0"]) == ("localhost", "localhost")
    assert len(told) > 40


def test_a_context_beside_a_certificate_tells_of_it(server: Server, localhost: Issued) -> None:
    """A context alone does not say what it shows."""
    server.ssl_context = make_context(localhost.both)
    server.ssl_certificate = localhost.cert
    made, _ = server.httpserver_from_self()
    tls: TLS = made.ssl_adapter

    assert tls._identities.default.names == ["localhost"]


def test_the_configuration_knows_the_keys(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is called unknown; a wrong value is refused where it is written."""
    warned: list[str] = []
    log: Callable[..., None] = lambda text, *rest, **more: warned.append(text)  # noqa: E731
    monkeypatch.setattr(cherrypy, "log", log)
    for key in ("ssl_certificates", "ssl_client_ca", "ssl_client_verify"):
        monkeypatch.setattr(cherrypy.server, key, None)

    cherrypy.config.update(
        {"server.ssl_certificates": {"a.test": ("a.crt", "a.key")}, "server.ssl_client_ca": "ca.pem"}
    )

    assert warned == []
    assert cherrypy.server.ssl_certificates == {"a.test": ("a.crt", "a.key")}
    with pytest.raises(ValueError, match=r"server\.ssl_client_verify is 'maybe'.*'required', 'optional', 'none'"):
        cherrypy.config.update({"server.ssl_client_verify": "maybe"})
