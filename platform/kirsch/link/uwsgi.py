"""The uwsgi protocol's request, as nginx speaks it to workers of a pool with ``protocol = "uwsgi"``.

Four octets (modifier 0, the size of what follows in little-endian, modifier 0), then variables: the length of each name
and value in two octets before it. The body comes behind; the answer is one of HTTP's, and ends the connection.

Source: uWSGI's "The uwsgi protocol", modifier1 0 (WSGI).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

HEAD_BYTES = 4
_LIMIT_BYTES = 65535


def pack(variables: Mapping[str, str]) -> bytes:
    """Return the request with these variables.

    Raises:
        ValueError: they take more than 64 KiB.
    """
    pieces = []
    for pair in variables.items():
        for text in pair:
            data = text.encode("latin-1")
            pieces.append(struct.pack("<H", min(len(data), _LIMIT_BYTES)) + data)
    body = b"".join(pieces)
    if len(body) > _LIMIT_BYTES:
        raise ValueError(f"{len(body)} octets of variables are more than {_LIMIT_BYTES}")
    return struct.pack("<BHB", 0, len(body), 0) + body


def ask(target: str, fields: Mapping[str, str]) -> bytes:
    """Return the request ``GET target`` with these header fields."""
    path, _, query = target.partition("?")
    variables = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": target,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": fields.get("Host", "localhost"),
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    return pack(variables | {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()})


def size_of(head: bytes) -> int | None:
    """Return how many octets of variables come behind the first four; None if these begin no request.

    No request of HTTP's begins with an octet of 0.
    """
    if len(head) < HEAD_BYTES or head[0] != 0:
        return None
    size: int = struct.unpack_from("<H", head, 1)[0]
    return size


def unpack(request: bytes) -> dict[str, str]:
    """Return the variables of a request.

    Raises:
        ValueError: it is cut.
    """
    size = size_of(request)
    if size is None or len(request) < HEAD_BYTES + size:
        raise ValueError("no whole request")
    at, end, texts = HEAD_BYTES, HEAD_BYTES + size, []
    while at < end:
        if at + 2 > end:
            raise ValueError("a length is cut")
        length = struct.unpack_from("<H", request, at)[0]
        at += 2 + length
        if at > end:
            raise ValueError("a text is cut")
        texts.append(request[at - length : at].decode("latin-1"))
    if len(texts) % 2:
        raise ValueError("a name without a value")
    return dict(zip(texts[::2], texts[1::2], strict=True))
