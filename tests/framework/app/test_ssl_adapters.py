"""TLS adapters of applications, as CherryPy's users write them: a class for ``ssl_module``, an object, a context."""

from __future__ import annotations

import ssl
import sys
from types import ModuleType
from typing import Any

import pytest

from cherrypy.app.server import Server

from ..pki import Issued, Pki
from .conftest import Client


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority for certificates."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def localhost(pki: Pki) -> Issued:
    """A certificate for localhost."""
    return pki.issue("localhost")


class Adapter:
    """Called like CherryPy's; the context is changed, and applications are told more."""

    def __init__(
        self, certificate: str, private_key: str, certificate_chain: str | None = None, ciphers: str | None = None
    ) -> None:
        self.arguments = certificate, private_key, certificate_chain, ciphers
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, private_key)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2

    def get_environ(self, sock: ssl.SSLSocket) -> dict[str, str]:
        """What environs are to say."""
        return {"HTTPS": "yes", "X_CIPHER": (sock.cipher() or ("",))[0]}


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The registry of a server of others, as if the application had imported it."""
    registry: dict[str, Any] = {}
    module = ModuleType("cheroot.server")
    module.ssl_adapters = registry  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cheroot.server", module)
    here = ModuleType("site_tls")
    here.Adapter = Adapter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "site_tls", here)
    return registry


def environ_over_tls(server: Server, pki: Pki) -> dict[str, Any]:
    """The environ of one request, and the version of TLS it came by."""
    seen: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ)
        start_response("200 OK", [])
        return [b""]

    server.httpserver.wsgi_app = app
    with pki.connect(server.bound_addr) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    return seen[0]


@pytest.mark.parametrize("module", [Adapter, "site_tls.Adapter", "custom", "by-text"])
def test_a_class_for_ssl_module(
    server: Server, client: Client, pki: Pki, localhost: Issued, registered: dict[str, Any], module: Any
) -> None:
    """Itself, by its dotted name, or by its name in the registry, as a class or as text."""
    registered.update({"custom": Adapter, "by-text": "site_tls.Adapter"})
    server.ssl_module = module
    server.ssl_certificate, server.ssl_private_key = localhost.cert, localhost.key
    server.ssl_ciphers = "ECDHE+AESGCM"
    server.start()
    environ = environ_over_tls(server, pki)

    assert type(server.httpserver.ssl_adapter) is Adapter
    assert server.httpserver.ssl_adapter.arguments == (localhost.cert, localhost.key, None, "ECDHE+AESGCM")
    assert (environ["HTTPS"], environ["SSL_PROTOCOL"], environ["wsgi.url_scheme"]) == ("yes", "TLSv1.2", "https")
    assert environ["X_CIPHER"] == environ["SSL_CIPHER"]
    assert server.base().startswith("https://")


def test_its_context_may_be_replaced(server: Server, client: Client, pki: Pki, localhost: Issued) -> None:
    """By ``ssl_context``, as in CherryPy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(localhost.cert, localhost.key)
    server.ssl_module = Adapter
    server.ssl_certificate, server.ssl_private_key = localhost.cert, localhost.key
    server.ssl_context = context
    server.start()

    assert server.httpserver.ssl_adapter.context is context
    assert environ_over_tls(server, pki)["SSL_PROTOCOL"] == "TLSv1.3"


def test_an_object_for_ssl_adapter(server: Server, client: Client, pki: Pki, localhost: Issued) -> None:
    """In the configuration, or on the server object."""
    for owner in ("server", "httpserver"):
        adapter = Adapter(localhost.cert, localhost.key)
        server.ssl_adapter = None
        server.httpserver = None
        if owner == "server":
            server.ssl_adapter = adapter
        else:
            server.httpserver, _ = server.httpserver_from_self()
            server.httpserver.ssl_adapter = adapter
        server.start()
        environ = environ_over_tls(server, pki)
        description = server.description
        server.stop()

        assert (environ["HTTPS"], environ["SSL_PROTOCOL"]) == ("yes", "TLSv1.2")
        assert description.startswith("https://")


def test_a_wrap_of_ones_own_is_refused(server: Server, localhost: Issued) -> None:
    """It may have been there to refuse clients, and nobody would call it."""

    class Wrapping(Adapter):
        def wrap(self, sock: Any) -> Any:
            """Not called."""

    server.ssl_adapter = Wrapping(localhost.cert, localhost.key)

    with pytest.raises(TypeError, match=r"class .*Wrapping has a wrap\(\) of its own.* not called: let the object's"):
        server.start()
    assert not server.running


def test_a_failing_get_environ_is_a_500(server: Server, client: Client, pki: Pki, localhost: Issued) -> None:
    """Of the requests that ask for it; the server goes on."""

    class Failing(Adapter):
        def get_environ(self, sock: Any) -> Any:
            """Fail."""
            raise KeyError("nothing")

    server.ssl_adapter = Failing(localhost.cert, localhost.key)
    server.start()
    server.httpserver.wsgi_app = lambda environ, start_response: [b"never"]
    for _ in range(2):
        with pki.connect(server.bound_addr) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")

            assert sock.recv(12) == b"HTTP/1.1 500"
