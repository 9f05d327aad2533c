"""The opening handshake of a WebSocket: what a request must look like, and what its 101 says.

Source: RFC 6455 sections 4.2 and 11.3; RFC 7692 section 7.1 for the extension.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.http.grammar import parse_tokens
from cherrypy.httpd.message import Message

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = "13"
_DEFAULT_PORTS = {"http": 80, "https": 443}

#: One offer of permessage-deflate, to the letter; a window of 8 bits is allowed by the RFC, but zlib cannot have it.
_DEFLATE = re.compile(
    r"permessage-deflate(?:[ \t]*;[ \t]*(?:(?:client|server)_no_context_takeover"
    r'|client_max_window_bits(?:=(?:9|1[0-5]|"(?:9|1[0-5])"))?|server_max_window_bits=(?:9|1[0-5]|"(?:9|1[0-5])")))*'
)


def check_request(request: Any) -> None:
    """Refuse what is no WebSocket handshake.

    Raises:
        HTTPError: 426 if the request does not ask for an upgrade, or for another version; 400 if it does so wrongly.
    """
    fault = find_fault(request.headers, request._message)
    if fault is not None:
        status, text, fields = fault
        serving.response.headers.update(fields)
        raise HTTPError(status, text)


def find_fault(headers: Mapping[str, str], message: Message) -> tuple[int, str, dict[str, str]] | None:
    """Return status, text and fields of the answer to what is no WebSocket handshake; None if it is one."""
    if not asks_for_websocket(headers):
        text = "This resource is a WebSocket; the request does not ask for an upgrade to one."
        return 426, text, {"Upgrade": "websocket"}
    if message.method != "GET" or message.version < (1, 1) or message.has_body:
        return 400, "A WebSocket begins with a GET by HTTP/1.1 without a body.", {}
    if b"upgrade" not in _tokens(headers, "Connection"):
        return 400, "The Connection field of a WebSocket's handshake must contain 'Upgrade'.", {}
    if headers.get("Sec-WebSocket-Version", "") != _VERSION:
        fields = {"Upgrade": "websocket", "Sec-WebSocket-Version": _VERSION}
        return 426, f"The only WebSocket version here is {_VERSION}.", fields
    try:
        is_key = len(base64.b64decode(headers.get("Sec-WebSocket-Key", ""), validate=True)) == 16
    except (binascii.Error, ValueError):
        is_key = False
    return None if is_key else (400, "Sec-WebSocket-Key must be 16 octets in base 64.", {})


def asks_for_websocket(headers: Mapping[str, str]) -> bool:
    """True if the Upgrade field names the protocol."""
    return b"websocket" in _tokens(headers, "Upgrade")


def _tokens(headers: Mapping[str, str], name: str) -> Any:
    return parse_tokens(headers.get(name, "").encode("latin-1", "replace"))


def accept_key(key: str) -> str:
    """Return the answer to *key*, which proves that the server understood.

    >>> accept_key("dGhlIHNhbXBsZSBub25jZQ==")
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode("ascii")


def check_origin(request: Any, origins: str | Iterable[str] | None) -> None:
    """Refuse a browser's request from a page of another site.

    SECURITY: browsers let any page open a WebSocket to any site, with the user's cookies, and let it read what comes.
    So without this check every site could speak for a logged-in user (cross-site WebSocket hijacking).

    Args:
        request: the handshake; without an Origin it is no browser's, and passes.
        origins: further origins that may come in; '*' for all.

    Raises:
        HTTPError: 403.
    """
    origin = request.headers.get("Origin")
    if origin is None or origins == "*":
        return
    allowed = [origins] if isinstance(origins, str) else list(origins or ())
    if "*" in allowed or origin in allowed or _is_same(origin, request.base):
        return
    raise HTTPError(403, "Pages of this origin may not open this WebSocket.")


def _is_same(origin: str, base: str) -> bool:
    """True if *origin* has the host and port of *base*. Schemes may differ: a proxy may have ended TLS."""
    try:
        there, here = urlsplit(origin), urlsplit(base)
        default = _DEFAULT_PORTS.get(there.scheme)
        return (
            default is not None
            and there.hostname is not None
            and there.hostname == here.hostname
            and (there.port or default) == (here.port or default)
        )
    except ValueError:
        return False


def offered_subprotocols(headers: Mapping[str, str]) -> list[str]:
    """Return what the client offers, best first."""
    names = [name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    return [name for name in names if name]


def choose_subprotocol(headers: Mapping[str, str], ours: Iterable[str]) -> str | None:
    """Return the first of *ours* that the client offers; None if there is none."""
    offered = offered_subprotocols(headers)
    return next((name for name in ours if name in offered), None)


def acceptable_deflate(headers: Mapping[str, str]) -> str | None:
    """Return the client's first well-formed offer of permessage-deflate, without quotes; None if there is none."""
    for offer in headers.get("Sec-WebSocket-Extensions", "").split(","):
        offer = offer.strip()
        names = [parameter.partition("=")[0].strip() for parameter in offer.split(";")]
        if _DEFLATE.fullmatch(offer) and len(set(names)) == len(names):
            return str(offer.replace('"', ""))
    return None
