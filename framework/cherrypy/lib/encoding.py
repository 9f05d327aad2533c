"""Charsets of request and response, and compression of the latter."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.later import Later
from cherrypy.core.logs import log
from cherrypy.core.response import Response
from cherrypy.http import charsets
from cherrypy.lib import file_generator, is_closable_iterator, set_vary_header
from cherrypy.lib.compression import compress, decompress, gzip

__all__ = [
    "ResponseEncoder",
    "UTF8StreamEncoder",
    "compress",
    "decode",
    "decompress",
    "file_generator",
    "gzip",
    "is_closable_iterator",
    "prepare_iter",
    "set_vary_header",
    "text_or_bytes",
]

text_or_bytes = (str, bytes)

# Codecs that encode text but are no charsets of documents.
# SECURITY: idna and punycode are quadratic (CVE-2022-45061), utf-7 smuggles markup past filters; clients name charsets.
_NO_CHARSETS = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7", "utf_7"))


@lru_cache(maxsize=256)
def is_charset(name: str) -> bool:
    """True when *name* is a charset that this Python can write documents in."""
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return getattr(codec, "_is_text_encoding", True) and codec.name.replace("-", "_") not in {
        one.replace("-", "_") for one in _NO_CHARSETS
    }


def decode(encoding: str | list[str] | None = None, default_encoding: str | list[str] = "utf-8") -> None:
    """Say in which charsets the request's body may be.

    Args:
        encoding: the only ones to try.
        default_encoding: what to try when the charset the client names, and the usual ones, have failed.
    """
    body = serving.request.body
    if body is None:
        return
    if encoding is not None:
        body.attempt_charsets = [encoding] if isinstance(encoding, str) else list(encoding)
    elif default_encoding:
        more = [default_encoding] if isinstance(default_encoding, str) else list(default_encoding)
        body.attempt_charsets = [*body.attempt_charsets, *more]


class StreamEncoder:
    """An iterator that encodes the text which another one yields; bytes pass. Closing it closes the other."""

    def __init__(self, iterator: Any, encoding: str = "utf-8", errors: str = "strict") -> None:
        self._iterator = iterator
        self._pieces = iter(iterator)
        self._encoding = encoding
        self._errors = errors

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        return piece.encode(self._encoding, self._errors) if isinstance(piece, str) else piece

    next = __next__

    def close(self) -> None:
        """Close the iterator inside, if it can be closed."""
        if is_closable_iterator(self._iterator):
            self._iterator.close()

    def __getattr__(self, attr: str) -> Any:
        if attr.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {attr!r}")
        return getattr(self._iterator, attr)


class UTF8StreamEncoder(StreamEncoder):
    """A ``StreamEncoder`` to UTF-8."""

    def __init__(self, iterator: Any) -> None:
        super().__init__(iterator)


def prepare_iter(value: Any) -> Any:
    """Make an iterable of what a handler returned: text and bytes, a file, None, or an iterable already."""
    if isinstance(value, str | bytes):
        return [value] if value else []
    if value is None:
        return []
    if hasattr(value, "read"):
        return file_generator(value)
    return value


def _is_encoded(body: Any) -> bool:
    return isinstance(body, list | tuple) and all(isinstance(piece, bytes) for piece in body)


_NO_CHARSET_SENT = "Your client did not send an Accept-Charset header."


# PERF: past the title-casing of names, which are in their canonical form here: three times 0.15 us
_header = dict.get
_set_header = dict.__setitem__


class ResponseEncoder:
    """A page handler around the page handler: encodes the text it returns as the client can read it.

    Attributes:
        encoding: the only charset to use; None for what the client prefers, ``default_encoding`` if it does not say.
        errors: of the codec: 'strict', 'replace', ...
        text_only: leave everything alone whose Content-Type is not text/*.
        add_charset: add the charset to the Content-Type.
        debug: log what is decided.
    """

    default_encoding = "utf-8"
    failmsg = "Response body could not be encoded with %r."
    encoding: str | None = None
    errors = "strict"
    text_only = True
    add_charset = True
    debug = False

    oldhandler: Any = None
    body: Any = None

    def __init__(self, **kwargs: Any) -> None:
        for name, value in kwargs.items():
            setattr(self, name, value)
        self.attempted_charsets: set[str] = set()
        request = serving.request
        if request.handler is not None:
            self.oldhandler = request.handler
            request.handler = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the page handler and encode what it returns.

        Raises:
            HTTPError: 406 when no charset that the client accepts fits, 500 when the page's own does not.
        """
        body = self.oldhandler(*args, **kwargs)
        request, response = serving.request, serving.response
        # PERF: what nearly every page is; 0.6 us here, 6 us below
        headers = response._headers if response.__class__ is Response else response.headers
        if (
            type(body) is str
            and self.encoding is None
            and self.errors == "strict"
            and self.default_encoding == "utf-8"
            and not self.debug
            and not response.stream
            and (response._content_type if headers is None else _header(headers, "Content-Type")) == "text/html"
            and not names_charsets(request)
        ):
            if headers is None:
                # nobody has looked at them, so they need not be made
                if self.add_charset:
                    response._content_type = "text/html;charset=utf-8"
                return self._encoded_page(body)
            if self.add_charset:
                _set_header(headers, "Content-Type", "text/html;charset=utf-8")
            if _header(headers, "Content-Length") is not None:
                del headers["Content-Length"]
            return self._encoded_page(body)
        if body.__class__ is Later:
            return body.then(self._encode_later)
        self.body = prepare_iter(body)
        try:
            self._negotiate(response)
        except HTTPError:
            if is_closable_iterator(self.body):
                self.body.close()
            raise
        return self.body

    only_formats = True
    """Pages without a result (WebSockets) can do without it."""

    def inner_handler(self) -> Any:
        """The handler inside; its result may be still to come."""
        return self.oldhandler

    def _encode_later(self, result: Any) -> Any:
        self.oldhandler = lambda: result
        return self()

    def _encoded_page(self, body: str) -> list[bytes]:
        try:
            return [body.encode("utf-8")] if body else []
        except UnicodeEncodeError as error:
            # lone surrogates
            raise HTTPError(500, self.failmsg % self.default_encoding) from error

    def _negotiate(self, response: Any) -> None:
        elements = response.headers.elements("Content-Type")
        if self.debug:
            log(f"Content-Type: {[str(one) for one in elements]!r}", "TOOLS.ENCODE")
        if not elements:
            return
        content_type = elements[0]
        if self.text_only and not content_type.value.lower().startswith("text/"):
            return
        if "charset" in content_type.params and _is_encoded(self.body):
            # the page has said in which charset its bytes are, and nobody else knows
            return
        charset = self.find_acceptable_charset()
        if self.add_charset:
            content_type.params["charset"] = charset
            response.headers["Content-Type"] = str(content_type)
        if self.debug:
            log(f"Encoded in {charset!r}", "TOOLS.ENCODE")

    def encode_stream(self, encoding: str) -> bool:
        """Let the body be encoded piece by piece; True unless *encoding* is unknown or was tried before.

        A piece that does not fit fails the stream: it is too late for another charset then.
        """
        if not self._may_try(encoding):
            return False
        map_pieces = getattr(self.body, "map_pieces", None)
        if map_pieces is not None:  # an asynchronous one
            self.body = map_pieces(
                lambda piece: piece.encode(encoding, self.errors) if isinstance(piece, str) else piece
            )
            return True
        self.body = StreamEncoder(self.body, encoding, self.errors)
        return True

    def encode_string(self, encoding: str) -> bool:
        """Encode the whole body; True when it fits *encoding*."""
        if not self._may_try(encoding):
            return False
        if not isinstance(self.body, list | tuple):
            # a generator can be read only once, and the next charset may have to be tried
            pieces = self.body
            try:
                self.body = list(pieces)
            finally:
                if is_closable_iterator(pieces):
                    pieces.close()
        try:
            self.body = [
                piece.encode(encoding, self.errors) if isinstance(piece, str) else piece for piece in self.body
            ]
        except (LookupError, UnicodeError):
            return False
        return True

    def _may_try(self, encoding: str) -> bool:
        if encoding in self.attempted_charsets:
            return False
        self.attempted_charsets.add(encoding)
        is_own = encoding == self.default_encoding or (self.encoding is not None and encoding == self.encoding.lower())
        # SECURITY: looked up are only names that exist: Python keeps every name it is asked for, for ever
        return (is_own or charsets.is_charset(encoding)) and is_charset(encoding)

    def find_acceptable_charset(self) -> str:
        """Encode the body in the best charset of those the client accepts; returns its name.

        Raises:
            HTTPError: 406, none fits; 500, the default does not.
        """
        request, response = serving.request, serving.response
        if response.stream:
            encoder = self.encode_stream
        else:
            encoder = self.encode_string
            # the length is that of the text before
            response.headers.pop("Content-Length", None)
        wanted = request.headers.elements("Accept-Charset")
        names = [element.value.lower() for element in wanted]
        if self.encoding is not None:
            encoding = self.encoding.lower()
            if (not names or "*" in names or encoding in names) and encoder(encoding):
                return encoding
        elif not wanted:
            if encoder(self.default_encoding):
                return self.default_encoding
            raise HTTPError(500, self.failmsg % self.default_encoding)
        else:
            found = self._first_that_fits(wanted, names, encoder)
            if found:
                return found
        raise HTTPError(406, self._refusal(request.headers.get("Accept-Charset")))

    def _first_that_fits(self, wanted: Iterable[Any], names: list[str], encoder: Any) -> str | None:
        for element in wanted:
            if element.qvalue > 0:
                candidate = self.default_encoding if element.value == "*" else element.value
                if encoder(candidate):
                    return str(candidate)
        # RFC 2616, 14.2: ISO-8859-1 is acceptable unless it is mentioned
        if "*" not in names and "iso-8859-1" not in names and encoder("iso-8859-1"):
            return "iso-8859-1"
        return None

    def _refusal(self, sent: str | None) -> str:
        told = _NO_CHARSET_SENT if sent is None else f"Your client sent this Accept-Charset header: {sent}."
        return f"{told} We tried these charsets: {', '.join(sorted(self.attempted_charsets))}."


def names_charsets(request: Any) -> bool:
    """True when the client sent Accept-Charset; looks at the raw fields if they are not parsed yet."""
    if request._headers is None:
        pairs = getattr(request._source, "pairs", None)
        if pairs is not None:
            # PERF: a loop, since any() makes a generator: 1.0 us -> 0.4 us
            for name, _ in pairs:  # noqa: SIM110
                if len(name) == 14 and name.lower() == b"accept-charset":
                    return True
            return False
    return "Accept-Charset" in request.headers
