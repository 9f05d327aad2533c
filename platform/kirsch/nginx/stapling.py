"""Whether nginx can staple what a certificate's authority says of it (OCSP; RFC 6066, 8; RFC 6960).

Two things have to be in the file: the address of the responder, in the certificate, and the issuer's certificate, for
the question names it by hashes. Where one is missing nginx would only warn and staple nothing. No library is needed to
see that: a few fields of DER (RFC 5280, 4.1) do.
"""

from __future__ import annotations

import base64
import binascii
import re

_CERTIFICATE = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END ", re.DOTALL)
# id-ad-ocsp (1.3.6.1.5.5.7.48.1), followed by a URI
_RESPONDER = bytes.fromhex("06082b0601050507300186")
_VERSION_TAG = 0xA0


def can_staple(chain: bytes) -> bool:
    """True when the first certificate of *chain* (PEM) names a responder, and its issuer stands behind it."""
    try:
        first, *others = [base64.b64decode(text) for text in _CERTIFICATE.findall(chain)]
        issuer, _ = _names(first)
        return _RESPONDER in first and any(_names(other)[1] == issuer for other in others)
    except (ValueError, IndexError, binascii.Error):
        # no certificate at all: nginx has the words for that
        return False


def _names(der: bytes) -> tuple[bytes, bytes]:
    """Issuer and subject of a certificate, as they are encoded."""
    at, _ = _open(der, 0)
    at, _ = _open(der, at)
    fields: list[bytes] = []
    while len(fields) < 5:
        start = at
        tag = der[at]
        _, at = _open(der, at)
        if tag != _VERSION_TAG:
            fields.append(der[start:at])
    _, _, issuer, _, subject = fields
    return issuer, subject


def _open(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at *at* begins, and where it ends."""
    length, at = der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(der[at : at + size], "big"), at + size
    return at, at + length
