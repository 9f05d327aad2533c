"""A self-signed certificate for the time until a vhost's own is there.

nginx refuses a whole configuration for one file that is missing, and a certificate authority wants an answer from
nginx before it gives out the first one. Nobody trusts this certificate, and nothing is protected by its key beyond the
first minutes of a site: so a few lines of P-256 do (SEC 1, 4.1.3; RFC 5280; RFC 5480), and no library is needed.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import secrets

# NIST P-256: y² = x³ - 3x + b over the field of P, and a point G of order N
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_EC_KEY = bytes.fromhex("06072a8648ce3d0201")
_P256 = bytes.fromhex("06082a8648ce3d030107")
_ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")
_COMMON_NAME = bytes.fromhex("0603550403")
_ALT_NAME = bytes.fromhex("0603551d11")
_LIFETIME = datetime.timedelta(days=825)
COMMON_NAME = "placeholder of kirsch"

Point = tuple[int, int] | None


def make_placeholder(names: tuple[str, ...], today: datetime.datetime) -> tuple[str, str]:
    """A certificate for *names* and its key, both PEM; good from the day before *today* on."""
    private = secrets.randbelow(_N - 1) + 1
    x, y = _times(private, _G) or _G
    public = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    algorithm = _sequence(_ECDSA_SHA256)
    name = _sequence(_tlv(0x31, _sequence(_COMMON_NAME, _tlv(0x0C, COMMON_NAME.encode()))))
    alt_names = b"".join(_tlv(0x82, each.encode("ascii")) for each in names or ("placeholder.invalid",))
    extensions = _tlv(0xA3, _sequence(_sequence(_ALT_NAME, _tlv(0x04, _sequence(alt_names)))))
    body = _sequence(
        _tlv(0xA0, _integer(2)),
        _integer(secrets.randbits(120)),
        algorithm,
        name,
        _sequence(_time(today - datetime.timedelta(days=1)), _time(today + _LIFETIME)),
        name,
        _sequence(_sequence(_EC_KEY, _P256), _bits(public)),
        extensions,
    )
    certificate = _sequence(body, algorithm, _bits(_sign(private, body)))
    inner = _sequence(_integer(1), _tlv(0x04, private.to_bytes(32, "big")), _tlv(0xA1, _bits(public)))
    key = _sequence(_integer(0), _sequence(_EC_KEY, _P256), _tlv(0x04, inner))
    return _pem("CERTIFICATE", certificate), _pem("PRIVATE KEY", key)


def _sign(private: int, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    while True:
        nonce = secrets.randbelow(_N - 1) + 1
        point = _times(nonce, _G)
        r = point[0] % _N if point else 0
        s = pow(nonce, -1, _N) * (digest + r * private) % _N
        if r and s:
            return _sequence(_integer(r), _integer(s))


def _times(factor: int, point: Point) -> Point:
    result: Point = None
    while factor:
        if factor & 1:
            result = _plus(result, point)
        point = _plus(point, point)
        factor >>= 1
    return result


def _plus(one: Point, two: Point) -> Point:
    if one is None or two is None:
        return two if one is None else one
    if one[0] == two[0]:
        if (one[1] + two[1]) % _P == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, _P) % _P
    else:
        slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, _P) % _P
    x = (slope * slope - one[0] - two[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(octets)]) + octets + content


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(content: bytes) -> bytes:
    return _tlv(0x03, b"\x00" + content)


def _time(moment: datetime.datetime) -> bytes:
    return _tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def _pem(label: str, content: bytes) -> str:
    text = base64.encodebytes(content).decode().replace("\n", "")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
