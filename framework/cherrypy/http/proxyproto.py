"""The PROXY protocol, versions 1 and 2: who the client of a TCP proxy is. Pure: bytes in, ``Proxied`` out.

Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
#: Longest version 1 line, CRLF included.
LINE_BYTES = 107
#: Longest version 2 header accepted; addresses take 36 octets, the rest are extensions that are skipped.
HEADER_BYTES = 16 + 2048

_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*+)?"
    rb"|(TCP4|TCP6) ([0-9A-Fa-f.:]{2,39}) ([0-9A-Fa-f.:]{2,39}) ([0-9]{1,5}) ([0-9]{1,5}))\r\n"
)
_FAMILIES = {0x11: (IPv4Address, 4), 0x21: (IPv6Address, 16)}
_ANY_FAMILY = frozenset({0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32})


class ProxyHeaderError(ValueError):
    """What stands where a PROXY header must stand is none."""


@dataclass(frozen=True)
class Proxied:
    """One header read.

    Attributes:
        peer: (address, port) of the client, or None where the header says LOCAL or UNKNOWN: the real peer stands.
        size: octets the header took.
    """

    peer: tuple[str, int] | None
    size: int


def parse_proxy_header(data: bytes) -> Proxied | None:
    r"""Read the header that *data* starts with; None when more octets are needed to tell.

    ``b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"`` gives ``Proxied(("192.0.2.1", 4711), 40)``.

    Raises:
        ProxyHeaderError: the octets cannot become a header any more.
    """
    if SIGNATURE.startswith(data[: len(SIGNATURE)]):
        return _parse_binary(data) if len(data) >= len(SIGNATURE) + 4 else None
    if not data.startswith(b"PROXY "):
        if b"PROXY ".startswith(data):
            return None
        raise ProxyHeaderError("no PROXY header")
    end = data.find(b"\n", 0, LINE_BYTES)
    if end < 0:
        if len(data) >= LINE_BYTES:
            raise ProxyHeaderError("PROXY line too long")
        return None
    found = _LINE.fullmatch(data, 0, end + 1)
    if found is None:
        raise ProxyHeaderError("malformed PROXY line")
    family, source, destination, source_port, destination_port = found.groups()
    if family is None:
        return Proxied(None, end + 1)
    make = IPv4Address if family == b"TCP4" else IPv6Address
    try:
        client = str(make(source.decode("ascii")))
        make(destination.decode("ascii"))
    except AddressValueError as error:
        raise ProxyHeaderError("malformed address in a PROXY line") from error
    if int(source_port) > 65535 or int(destination_port) > 65535:
        raise ProxyHeaderError("malformed port in a PROXY line")
    return Proxied((client, int(source_port)), end + 1)


def _parse_binary(data: bytes) -> Proxied | None:
    command, family = data[12], data[13]
    size = 16 + int.from_bytes(data[14:16], "big")
    if command not in (0x20, 0x21) or family not in _ANY_FAMILY or size > HEADER_BYTES:
        raise ProxyHeaderError("malformed PROXY header, version 2")
    if len(data) < size:
        return None
    known = _FAMILIES.get(family)
    if command == 0x20 or known is None:
        return Proxied(None, size)
    make, length = known
    if size < 16 + 2 * length + 4:
        raise ProxyHeaderError("PROXY header, version 2, too short for its addresses")
    port = int.from_bytes(data[16 + 2 * length : 18 + 2 * length], "big")
    return Proxied((str(make(data[16 : 16 + length])), port), size)
