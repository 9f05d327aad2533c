"""TLS by the standard library, fitted to non-blocking sockets: what OpenSSL still wants looks like a plain EAGAIN."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any

PLAIN_ON_TLS = b"The client sent a plain HTTP request, but this server only speaks HTTPS on this port."


class TLSSocket:
    """The part of a socket's interface that a connection uses, over an ``ssl.SSLSocket``."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._sock = sock
        self.family = sock.family
        self.fileno = sock.fileno
        self.getsockname = sock.getsockname
        self.setsockopt = sock.setsockopt
        self.getsockopt = sock.getsockopt
        self.pending = sock.pending
        self.ssl = sock

    def handshake(self) -> str:
        """Go on with the handshake: ``"done"``, or ``"read"``/``"write"`` for what it waits for.

        Raises:
            OSError: it failed.
        """
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            return "read"
        except ssl.SSLWantWriteError:
            return "write"
        return "done"

    def recv(self, size: int) -> bytes:
        """Decrypted octets; BlockingIOError when there are none yet."""
        try:
            data = self._sock.recv(size)
            # What OpenSSL holds decrypted is no news to the poll set: take it along.
            while held := self._sock.pending():
                data += self._sock.recv(held)
            return data
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error
        except ssl.SSLEOFError:
            return b""

    def send(self, data: bytes | memoryview) -> int:
        """Octets taken; BlockingIOError when none can be."""
        try:
            return self._sock.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error

    def send_plain(self, data: bytes) -> None:
        """Send octets past TLS, to a client that does not speak it."""
        socket.socket.send(self._sock, data)

    def shutdown(self, how: int) -> None:
        """Send close_notify as far as the socket takes it, then end the plain socket's write side."""
        with suppress(OSError, ValueError):  # ours is out; the client's may come later or never
            self._sock.unwrap()
        socket.socket.shutdown(self._sock, how)

    def close(self) -> None:
        """Close the descriptor."""
        self._sock.close()


class TLS:
    """Makes TLS connections of accepted sockets.

    Args:
        context: a server-side context; ``make_context`` builds a safe one.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def wrap(self, sock: socket.socket) -> TLSSocket:
        """Take over *sock*; the handshake is still to be done."""
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return TLSSocket(wrapped)

    def environ(self, sock: Any) -> dict[str, str]:
        """CGI variables of one session, as mod_ssl calls them."""
        session: ssl.SSLSocket = sock.ssl
        cipher = session.cipher() or ("", "", 0)
        variables = {
            "HTTPS": "on",
            "SSL_PROTOCOL": session.version() or "",
            "SSL_CIPHER": cipher[0],
            "SSL_CIPHER_EXPORT": "",
            "SSL_CIPHER_USEKEYSIZE": str(cipher[2] or ""),
            "SSL_CIPHER_ALGKEYSIZE": str(cipher[2] or ""),
            "SSL_VERSION_INTERFACE": f"Python {ssl.__name__}",
            "SSL_VERSION_LIBRARY": ssl.OPENSSL_VERSION,
            "SSL_CLIENT_VERIFY": "NONE",
            "SSL_COMPRESS_METHOD": session.compression() or "NULL",
            "SSL_SESSION_ID": session.session.id.hex() if session.session else "",
        }
        encoded = session.getpeercert(binary_form=True)
        if encoded:
            variables["SSL_CLIENT_VERIFY"] = "SUCCESS"
            variables["SSL_CLIENT_CERT"] = ssl.DER_cert_to_PEM_cert(encoded)
            variables.update(_certificate_environ("SSL_CLIENT", session.getpeercert() or {}))
        return variables


def make_context(
    certificate: str, private_key: str | None = None, chain: str | None = None, ciphers: str | None = None
) -> ssl.SSLContext:
    """A server-side context from PEM files; TLS 1.2 and newer.

    Raises:
        OSError: a file is missing or does not fit the others.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=chain)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, private_key)
    if ciphers:
        context.set_ciphers(ciphers)
    return context


_NAMES = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
    "emailAddress": "Email",
}


def _certificate_environ(prefix: str, found: dict[str, Any]) -> dict[str, str]:
    variables = {
        f"{prefix}_M_VERSION": str(found.get("version", "")),
        f"{prefix}_M_SERIAL": str(found.get("serialNumber", "")),
        f"{prefix}_V_START": str(found.get("notBefore", "")),
        f"{prefix}_V_END": str(found.get("notAfter", "")),
    }
    for side, letter in (("subject", "S"), ("issuer", "I")):
        parts = [pair for part in found.get(side, ()) for pair in part]
        shown = [(_NAMES.get(name, name), value) for name, value in parts]
        variables[f"{prefix}_{letter}_DN"] = ",".join(f"{name}={value}" for name, value in shown)
        variables.update({f"{prefix}_{letter}_DN_{name}": value for name, value in shown})
    return variables
