"""The documented ``ssl_*`` settings as TLS for a listener."""

from __future__ import annotations

from typing import Any

from cherrypy.httpd.tls import TLS, make_context


def tls_for(adapter: Any) -> TLS | None:
    """What the settings of *adapter* describe; None for a server without TLS.

    Raises:
        ValueError: a key without a certificate.
        OSError: a file cannot be read, or does not contain what it should; names the settings.
    """
    if adapter.ssl_context is not None:
        return TLS(adapter.ssl_context)
    if not adapter.ssl_certificate:
        if adapter.ssl_private_key:
            raise ValueError("server.ssl_private_key is set, server.ssl_certificate is not: TLS needs both")
        return None
    # A file that holds both may be given as the certificate alone.
    key, chain = adapter.ssl_private_key or None, adapter.ssl_certificate_chain or None
    try:
        return TLS(make_context(adapter.ssl_certificate, key, chain, adapter.ssl_ciphers))
    except OSError as error:
        settings = f"server.ssl_certificate={adapter.ssl_certificate!r}, ssl_private_key={key!r}"
        named = f"{settings}, ssl_certificate_chain={chain!r}" if chain else settings
        raise OSError(error.errno, f"{error.strerror or error} ({named})") from error
