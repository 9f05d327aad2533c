"""Tools for pages that read and write JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.later import Later
from cherrypy.core.logs import log
from cherrypy.http.text import to_text as ntou
from cherrypy.lib import jsoncodec as json

__all__ = ["json", "json_handler", "json_in", "json_out", "json_processor", "ntou", "text_or_bytes"]

text_or_bytes = (str, bytes)


def json_processor(entity: Any) -> None:
    """Read the request's body as JSON into ``request.json``.

    Raises:
        HTTPError: 411 for a body without length (and not chunked), 400 for what is not JSON.
    """
    headers = entity.headers
    if not headers.get("Content-Length") and not headers.get("Transfer-Encoding"):
        raise HTTPError(411)
    body = entity.fp.read()
    # RecursionError: a document nested deeper than the reader goes
    with HTTPError.handle((ValueError, RecursionError), 400, "Invalid JSON document"):
        serving.request.json = json.decode(body.decode("utf-8"))


def json_in(
    content_type: str | Iterable[str] = (ntou("application/json"), ntou("text/javascript")),
    force: bool = True,
    debug: bool = False,
    processor: Callable[[Any], Any] = json_processor,
) -> None:
    """Read JSON bodies into ``request.json``.

    Args:
        content_type: the types that are JSON.
        force: answer 415 to bodies of any other type.
        debug: log what is set up.
        processor: reads the body; called with the entity.
    """
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


def json_out(
    content_type: str | None = "application/json", debug: bool = False, handler: Callable[..., Any] = json_handler
) -> None:
    """Write what the page handler returns as JSON.

    Args:
        content_type: of the response; None leaves it.
        debug: log what is set up.
        handler: takes the place of the page handler, which it finds in ``request._json_inner_handler``.
    """
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
