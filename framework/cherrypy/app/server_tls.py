"""The documented ``ssl_*`` settings as one ``ssl.SSLContext``."""

from __future__ import annotations

import ssl
from typing import Any


def context_for(adapter: Any) -> ssl.SSLContext | None:
    """The context that the settings of *adapter* describe; None for a server without TLS.

    Raises:
        ValueError: a key without a certificate.
        OSError: a file cannot be read, or does not contain what it should; names the setting.
    """
    if adapter.ssl_context is not None:
        given: ssl.SSLContext = adapter.ssl_context
        return given
    if not adapter.ssl_certificate:
        if adapter.ssl_private_key:
            raise ValueError("server.ssl_private_key is set, server.ssl_certificate is not: TLS needs both")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        # A file that holds both may be given as the certificate alone.
        context.load_cert_chain(adapter.ssl_certificate, adapter.ssl_private_key or None)
    except OSError as error:
        files = (
            f"server.ssl_certificate={adapter.ssl_certificate!r}, server.ssl_private_key={adapter.ssl_private_key!r}"
        )
        raise OSError(error.errno, f"{error.strerror or error} ({files})") from error
    if adapter.ssl_certificate_chain:
        # OpenSSL sends the intermediates that it finds in the store on the way up from our certificate.
        try:
            context.load_verify_locations(adapter.ssl_certificate_chain)
        except OSError as error:
            where = f"server.ssl_certificate_chain={adapter.ssl_certificate_chain!r}"
            raise OSError(error.errno, f"{error.strerror or error} ({where})") from error
    if adapter.ssl_ciphers:
        context.set_ciphers(adapter.ssl_ciphers)
    return context
