"""Tools for pages that read and write JSON.

A reader or writer of one's own is the argument ``decoder`` or ``encoder``: a class of the ``json`` module's kind, or
any function from text to value or from value to text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.later import Later
from cherrypy.core.logs import log
from cherrypy.http.text import to_text as ntou
from cherrypy.lib import jsoncodec as json

__all__ = ["JSONHandler", "json", "json_handler", "json_in", "json_out", "json_processor", "ntou", "text_or_bytes"]

text_or_bytes = (str, bytes)


def json_processor(entity: Any) -> None:
    """Read the request's body as JSON into ``request.json``.

    Raises:
        HTTPError: 411 for a body without length (and not chunked), 400 for what is not JSON.
    """
    _process(entity, json.decode)


def _process(entity: Any, decode: Callable[[str], Any]) -> None:
    headers = entity.headers
    if not headers.get("Content-Length") and not headers.get("Transfer-Encoding"):
        raise HTTPError(411)
    body = entity.fp.read()
    # RecursionError: a document nested deeper than the reader goes
    with HTTPError.handle((ValueError, RecursionError), 400, "Invalid JSON document"):
        # RFC 8259, 8.1: a byte order mark may be ignored
        serving.request.json = decode(body.decode("utf-8-sig"))


def json_in(
    content_type: str | Iterable[str] = (ntou("application/json"), ntou("text/javascript")),
    force: bool = True,
    debug: bool = False,
    processor: Callable[[Any], Any] = json_processor,
    decoder: Any = None,
) -> None:
    """Read JSON bodies into ``request.json``.

    Args:
        content_type: the types that are JSON.
        force: answer 415 to bodies of any other type.
        debug: log what is set up.
        processor: reads the body; called with the entity.
        decoder: reads the text: a ``json.JSONDecoder`` class, or a function.

    Raises:
        ValueError: both a processor and a decoder, which that would not use.
    """
    if decoder is not None:
        if processor is not json_processor:
            raise ValueError("tools.json_in.decoder is for the default processor: give that, or a processor")
        processor = partial(_process, decode=_method_of(decoder, "decode"))
    body = serving.request.body
    if body is None:
        return
    kinds = [content_type] if isinstance(content_type, str) else list(content_type)
    if force:
        if debug:
            log("Removing body processors ...", "TOOLS.JSON_IN")
        body.processors.clear()
        body.default_proc = HTTPError(415, f"Expected an entity of content type {', '.join(kinds)}")
    for kind in kinds:
        if debug:
            log(f"Adding body processor for {kind}", "TOOLS.JSON_IN")
        body.processors[kind] = processor


def json_handler(*args: Any, **kwargs: Any) -> Any:
    """Call the page handler and return what it returned as JSON."""
    value = serving.request._json_inner_handler(*args, **kwargs)
    if value.__class__ is Later:
        return value.then(_encoded)
    return list(json.encode(value))


def _encoded(value: Any) -> list[bytes]:
    return list(json.encode(value))


# what the page returns may be still to come
json_handler.inner_handler = lambda: serving.request._json_inner_handler  # type: ignore[attr-defined]
json_handler.only_formats = True  # type: ignore[attr-defined]


class JSONHandler:
    """A ``json_handler`` that writes with *encoder*, a ``json.JSONEncoder`` class or a function."""

    only_formats = True

    def __init__(self, encoder: Any) -> None:
        self.encode = _method_of(encoder, "encode")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the page handler and return what it returned as JSON."""
        value = serving.request._json_inner_handler(*args, **kwargs)
        return value.then(self._write) if value.__class__ is Later else self._write(value)

    def inner_handler(self) -> Any:
        """The page handler: what it returns may be still to come."""
        return serving.request._json_inner_handler

    def _write(self, value: Any) -> list[bytes]:
        written = self.encode(value)
        return [written.encode("utf-8") if isinstance(written, str) else written]


def _method_of(codec: Any, name: str) -> Callable[[Any], Any]:
    """The method *name* of an object of the class *codec*; a function is that itself."""
    method: Callable[[Any], Any] = getattr(codec(), name) if isinstance(codec, type) and hasattr(codec, name) else codec
    return method


def json_out(
    content_type: str | None = "application/json",
    debug: bool = False,
    handler: Callable[..., Any] = json_handler,
    encoder: Any = None,
) -> None:
    """Write what the page handler returns as JSON.

    Args:
        content_type: of the response; None leaves it.
        debug: log what is set up.
        handler: takes the place of the page handler, which it finds in ``request._json_inner_handler``.
        encoder: writes the value: a ``json.JSONEncoder`` class, or a function that returns text or bytes.

    Raises:
        ValueError: both a handler and an encoder, which that would not use.
    """
    if encoder is not None:
        if handler is not json_handler:
            raise ValueError("tools.json_out.encoder is for the default handler: give that, or a handler")
        handler = JSONHandler(encoder)
    request = serving.request
    # no handler: an earlier tool has made the answer
    if request.handler is None:
        return
    if debug:
        log(f"Replacing {request.handler} with JSON handler", "TOOLS.JSON_OUT")
    request._json_inner_handler = request.handler
    request.handler = handler
    if content_type is not None:
        if debug:
            log(f"Setting Content-Type to {content_type}", "TOOLS.JSON_OUT")
        serving.response.headers["Content-Type"] = content_type
