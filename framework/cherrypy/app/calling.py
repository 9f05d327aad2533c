"""Calling the page of a short way, and what becomes of a call that was not as plain as the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cherrypy.aio.pages import ASYNCHRONOUS, settle
from cherrypy.app.route import JSON, TEXT, Route
from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.dispatch.handlers import LateParamPageHandler
from cherrypy.lib import jsontools

_encode = jsontools.json.encode


class Outcome:
    """What calling the page gave, to be given once more where the long way calls the page."""

    __slots__ = ("body", "callable", "content_type", "dispatch", "error")

    def __init__(self, page: Any, body: Any, error: BaseException | None = None) -> None:
        request = serving.request
        self.callable = page
        self.body = body
        self.error = error
        headers = serving.response._headers
        self.content_type = None if headers is None else headers.get("Content-Type", "")
        self.dispatch = request.dispatch
        request.dispatch = self.take_the_place_of_the_page
        request._params = None  # the long way reads the query again

    def take_the_place_of_the_page(self, path_info: str) -> None:
        """Dispatch as the request would have done, and put this outcome in the place of what was found."""
        self.dispatch(path_info)
        serving.request.handler = self

    def __call__(self) -> Any:
        """Return what the page returned, or raise what it raised."""
        if self.content_type is not None:
            # tools before the page have set theirs once more
            serving.response.headers["Content-Type"] = self.content_type
            if not self.content_type:
                del serving.response.headers["Content-Type"]
        if self.error is not None:
            raise self.error
        return settle(self.body) if self.body.__class__ in ASYNCHRONOUS else self.body

    def inner_handler(self) -> Any:
        """None: the page's result may be still to come."""
        return None


def call(
    route: Route, page: Any, arguments: tuple[str, ...], parameters: dict[str, Any] | None, message: Any
) -> tuple[bytes | None, Any]:
    """Call *page*; return what it returned in octets, and as it is.

    The octets are None if that was not plain; then an ``Outcome`` stands in the place of the page.
    """
    message.entering(route.key)
    try:
        body = page(*arguments, **parameters) if parameters else page(*arguments)
    except TypeError as error:
        Outcome(page, None, _explained(serving.request, page, error))
        return None, None
    except BaseException as error:
        Outcome(page, None, error)
        return None, None
    kind = route.kind
    octets = None if message.names_charset and kind is TEXT else _ENCODERS[kind](body)
    if octets is None:
        Outcome(page, body)
    return octets, body


def _explained(request: Any, page: Any, error: TypeError) -> Exception:
    handler = LateParamPageHandler(page, *request._arguments)
    try:
        handler.explain(error, handler.args, handler.kwargs)
    except HTTPError as mismatch:
        return mismatch
    return error


def _encode_text(body: Any) -> bytes | None:
    """Return the octets of what a page returned; None if that is neither text nor octets, or has lone surrogates."""
    if body.__class__ is str:
        try:
            text: str = body
            return text.encode()
        except UnicodeEncodeError:
            return None
    return body if body.__class__ is bytes else None


def _encode_json(body: Any) -> bytes | None:
    """Return *body* as JSON; None if it cannot be: the long way raises that again, where it belongs."""
    try:
        # COMPAT: applications put an encoder of their own in the place of ``encode``
        codec = jsontools.json
        return codec.encode_whole(body) if codec.encode is _encode else b"".join(codec.encode(body))
    except Exception:
        return None


_ENCODERS: dict[str, Callable[[Any], bytes | None]] = {TEXT: _encode_text, JSON: _encode_json}
