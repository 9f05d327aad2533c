"""Gzip, piece by piece.

Source: RFC 1952; RFC 9110 section 12.5.3.
"""

from __future__ import annotations

import gzip as _gzip
import io
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log
from cherrypy.http.status import valid_status
from cherrypy.lib import set_vary_header

_FASTEST, _BEST = 1, 9
_MAGIC, _DEFLATE, _NO_FLAGS, _UNKNOWN_OS = b"\x1f\x8b", 8, 0, 255


def _head(compress_level: int) -> bytes:
    """The ten octets before the data; the ninth tells how hard the compressor tried."""
    effort = {_BEST: 2, _FASTEST: 4}.get(compress_level, 0)
    return _MAGIC + struct.pack("<BBLBB", _DEFLATE, _NO_FLAGS, int(time.time()) & 0xFFFFFFFF, effort, _UNKNOWN_OS)


def compress(body: Iterable[bytes], compress_level: int) -> Iterator[bytes]:
    """Compress *body* at *compress_level* (1 fast - 9 small), yielding as it goes; closes *body* at its end."""
    checksum, size = zlib.crc32(b""), 0
    compressor = zlib.compressobj(compress_level, zlib.DEFLATED, -zlib.MAX_WBITS)
    try:
        yield _head(compress_level)
        for piece in body:
            size += len(piece)
            checksum = zlib.crc32(piece, checksum)
            packed = compressor.compress(piece)
            if packed:
                yield packed
        yield compressor.flush() + struct.pack("<LL", checksum, size & 0xFFFFFFFF)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def decompress(body: bytes) -> bytes:
    """Return what *body*, a whole gzip file, holds."""
    with _gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
        return packed.read()


def gzip(
    compress_level: int = 5, mime_types: str | Iterable[str] = ("text/html", "text/plain"), debug: bool = False
) -> None:
    """Compress the body if the client accepts gzip and the type is one of *mime_types*.

    Args:
        compress_level: 1 fast - 9 small.
        mime_types: types, or patterns 'text/*', 'application/*+xml'.
        debug: log what is decided.

    The answer is 406 only to a client that refuses both gzip and the uncompressed page.
    """
    request, response = serving.request, serving.response
    set_vary_header(response, "Accept-Encoding")
    if not response.body or getattr(request, "cached", False):
        # what comes from the cache has been through here
        return
    try:
        wanted = request.headers.elements("Accept-Encoding")
        quality = {element.value.lower(): element.qvalue for element in wanted}
    except HTTPError:
        if valid_status(response.status)[0] >= 400:
            # what the malformed header has led to is being sent: raising again would make a 500 of it
            return
        raise
    if not wanted:
        return
    other = quality.get("*")
    packed = max((quality[name] for name in ("gzip", "x-gzip") if name in quality), default=other or 0)
    plain = quality.get("identity")
    if debug:
        log(f"gzip q={packed}, identity q={plain}, *;q={other}", "TOOLS.GZIP")
    if packed and not (plain and plain > packed):
        if _is_compressible(response, [mime_types] if isinstance(mime_types, str) else list(mime_types)):
            _pack(response, compress_level)
    elif plain == 0 or (plain is None and other == 0):
        HTTPError(406, "identity, gzip").set_response()


def _is_compressible(response: Any, mime_types: list[str]) -> bool:
    headers = response.headers
    if "Content-Encoding" in headers or "Content-Range" in headers:
        # encoded already, or a slice of the uncompressed page
        return False
    if any(element.value.lower() == "no-transform" for element in headers.elements("Cache-Control")):
        # RFC 9111, 5.2.2.6
        return False
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return any(_type_matches(kind, pattern) for pattern in mime_types)


def _type_matches(kind: str, pattern: str) -> bool:
    """True when *kind* is *pattern*: 'text/html', 'text/*', 'application/*+xml'."""
    if kind == pattern:
        return True
    before, star, after = pattern.partition("*")
    return bool(star) and len(kind) > len(before) + len(after) and kind.startswith(before) and kind.endswith(after)


def _pack(response: Any, compress_level: int) -> None:
    headers = response.headers
    headers["Content-Encoding"] = "gzip"
    etag = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        # RFC 9110, 8.8.3.3: the strong tag names the uncompressed octets
        headers["ETag"] = f"W/{etag}"
    response.body = compress(response.body, compress_level)
    # the length is that of the uncompressed body
    headers.pop("Content-Length", None)
