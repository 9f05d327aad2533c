"""What CGI and WSGI applications are told about a TLS session, as mod_ssl calls it."""

from __future__ import annotations

import platform
import ssl
import time
from typing import Any

from cherrypy.httpd.credentials import Identity

# Parts of a distinguished name: as the ssl module calls them -> as the variables end.
_DN = {
    "commonName": "CN",
    "countryName": "C",
    "description": "D",
    "domainComponent": "DC",
    "emailAddress": "Email",
    "givenName": "G",
    "initials": "I",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "surname": "S",
    "title": "T",
    "userId": "UID",
}
_SAN = {"DNS": "DNS", "email": "Email"}
_DAY_S = 86400


def session_variables(session: ssl.SSLSocket, identity: Identity | None, server_name: str | None) -> dict[str, str]:
    """The variables of one session.

    Args:
        session: its handshake is done.
        identity: what the client was shown, if that is known.
        server_name: what the client asked for (SNI).

    Source: Apache's mod_ssl, "Environment Variables"; RFC 3875 knows none of them.
    """
    name, version, used_bits = session.cipher() or ("", "", 0)
    key_bits = identity.key_bits.get(name, used_bits) if identity is not None else used_bits
    known = session.session
    variables = {
        "HTTPS": "on",
        "SSL_PROTOCOL": session.version() or version,
        "SSL_CIPHER": name,
        "SSL_CIPHER_EXPORT": "",
        "SSL_CIPHER_USEKEYSIZE": str(used_bits),
        "SSL_CIPHER_ALGKEYSIZE": str(key_bits),
        "SSL_VERSION_INTERFACE": f"Python {platform.python_version()} ssl",
        "SSL_VERSION_LIBRARY": ssl.OPENSSL_VERSION,
        "SSL_CLIENT_VERIFY": "NONE",
        "SSL_COMPRESS_METHOD": session.compression() or "NULL",
        "SSL_SESSION_ID": known.id.hex() if known is not None else "",
        "SSL_SESSION_RESUMED": "Resumed" if session.session_reused else "Initial",
    }
    if server_name:
        variables["SSL_TLS_SNI"] = server_name
    if identity is not None and identity.pem:
        variables.update(certificate_variables("SSL_SERVER", identity.decoded, identity.pem))
    encoded = session.getpeercert(binary_form=True)
    if encoded:
        # One that nobody has signed for does not get so far: the handshake fails.
        variables["SSL_CLIENT_VERIFY"] = "SUCCESS"
        pem = ssl.DER_cert_to_PEM_cert(encoded)
        variables.update(certificate_variables("SSL_CLIENT", session.getpeercert() or {}, pem))
    return variables


def certificate_variables(prefix: str, decoded: dict[str, Any], pem: str) -> dict[str, str]:
    """The variables of one certificate.

    Args:
        prefix: "SSL_SERVER" or "SSL_CLIENT".
        decoded: as ``SSLSocket.getpeercert`` gives it; empty if nobody could read it.
        pem: the certificate itself.
    """
    variables = {f"{prefix}_CERT": pem.strip()}
    if not decoded:
        return variables
    variables[f"{prefix}_M_VERSION"] = str(decoded.get("version", ""))
    variables[f"{prefix}_M_SERIAL"] = str(decoded.get("serialNumber", ""))
    variables[f"{prefix}_V_START"] = str(decoded.get("notBefore", ""))
    variables[f"{prefix}_V_END"] = end = str(decoded.get("notAfter", ""))
    if end:
        left_s = ssl.cert_time_to_seconds(end) - time.time()
        variables[f"{prefix}_V_REMAIN"] = str(max(int(left_s // _DAY_S), 0))
    for side, letter in (("subject", "S"), ("issuer", "I")):
        variables.update(_dn_variables(f"{prefix}_{letter}_DN", decoded.get(side, ())))
    counts = dict.fromkeys(_SAN, 0)
    for kind, value in decoded.get("subjectAltName", ()):
        if kind in _SAN:
            variables[f"{prefix}_SAN_{_SAN[kind]}_{counts[kind]}"] = value
            counts[kind] += 1
    return variables


def _dn_variables(prefix: str, parts: Any) -> dict[str, str]:
    """``(((("commonName", "a"),), ...)`` as ``{"SSL_..._DN": "CN=a,...", "SSL_..._DN_CN": "a"}``.

    Of a part that comes several times the first one has the plain name; all have one with their number, from 0.
    """
    pairs = [(_DN.get(name, name), value) for part in parts for name, value in part]
    variables = {prefix: ",".join(f"{name}={value}" for name, value in pairs)}
    for short in dict.fromkeys(name for name, _ in pairs):
        values = [value for name, value in pairs if name == short]
        variables[f"{prefix}_{short}"] = values[0]
        if len(values) > 1:
            variables.update({f"{prefix}_{short}_{number}": value for number, value in enumerate(values)})
    return variables
