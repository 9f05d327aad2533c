"""A connection to a vhost's address, as a client on this host makes it."""

from __future__ import annotations

import socket
import ssl

from kirsch.spec import Listen


def source_of(listen: Listen) -> str:
    """The address of this host at which *listen* is reached, and from which the kernel then connects, too."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.address, listen.address)


def connect_to(listen: Listen, host: str, timeout_s: float) -> socket.socket:
    """Connect, with *host* as the TLS server name; whether the certificate fits it is a browser's question.

    Raises:
        OSError: nobody listens there, or it is no TLS.
    """
    plain = socket.create_connection((source_of(listen), listen.port), timeout=timeout_s)
    if not listen.tls:
        return plain
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=host.partition(":")[0])
    except OSError:
        plain.close()
        raise
