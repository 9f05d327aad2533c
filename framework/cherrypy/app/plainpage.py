"""The short way through a request: a GET for a page on which nothing but the default tools, or ``json_out``, is on.

What the long way (``Request.run``) finds at its eight hook points, in its dispatch and its tools is known beforehand
then (see ``route``): a page to call and a value to encode. So most of it is left out.

Law: the page is called once, and whatever is not exactly the plain case goes the long way: before the call by
returning None, after it by an ``Outcome``, which stands for the page that has been called already.

PERF: stage_cost.py: the whole of a plain request costs 20 us the long way; 5.3 us with a request and a response, 3.4 us
without them: most pages look at neither (``context.Serving``).
"""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any, TypeAlias

from cherrypy.aio.pages import ASYNCHRONOUS, settle
from cherrypy.app.application import announce_thread
from cherrypy.app.route import JSON, TEXT, Route
from cherrypy.app.unmade import Introduce, make
from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log
from cherrypy.core.request import Request
from cherrypy.core.response import plain_header_list
from cherrypy.dispatch.handlers import LateParamPageHandler
from cherrypy.http.query import parse_query_string
from cherrypy.lib import jsontools
from cherrypy.process.wspbus import bus

#: An ``Answer``: (status, header fields, body, nothing to close)
Finished: TypeAlias = "tuple[bytes, list[tuple[bytes, bytes]], list[bytes], None]"

_OK = b"200 OK"
_new = object.__new__
_encode = jsontools.json.encode
_header = dict.get
_set_header = dict.__setitem__


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


def serve(
    route: Route, page: Any, arguments: tuple[str, ...], message: Any, path: str, introduce: Introduce
) -> Finished | None:
    """Call *page* and return the finished answer; None if the long way has to be gone (on) with what ``begun`` returns.

    Args:
        route: leads to the page.
        page: what the route led to just now.
        arguments: its positional arguments.
        message: a GET without body, as the native server hands it over, or what looks like one.
        path: decoded, with the script name.
        introduce: called with a new request and *message*, lets the request know where it came from.
    """
    if bus.listeners.get("before_request"):
        return None  # they may do anything to the request, before its life begins
    here = serving.__dict__
    moment = time()
    parameters: Any = None
    is_readable = True
    if message.query:
        try:
            parameters = parse_query_string(message.query, encoding=route.encoding, separators=route.separators)
        except UnicodeDecodeError:
            is_readable = False  # the long way has an answer to that
    here["_unmade"] = make, introduce, route, arguments, parameters, message, path, moment
    try:
        announce_thread()
    except Exception:
        here.clear()
        return None  # the long way has an answer to that
    if not is_readable:
        return None
    message.entering(route.key)
    try:
        body = page(*arguments, **parameters) if parameters else page(*arguments)
    except TypeError as error:
        Outcome(page, None, _explained(serving.request, page, error))
        return None
    except BaseException as error:
        Outcome(page, None, error)
        return None
    kind = route.kind
    octets = None if message.names_charset and kind is TEXT else _ENCODERS[kind](body)
    if octets is None:
        Outcome(page, body)
        return None
    if len(here) == 1:
        # PERF: nobody has looked at request or response, so there are none
        finished = _OK, plain_header_list(moment, route.sent_type, len(octets)), [octets] if octets else [], None
        here["_finished"] = finished
        return _log_and_forget(route.app, here, finished)
    response = serving.response
    if _finish(route, serving.request, response, octets):
        return _log_and_forget(route.app, here, (response.output_status, response.header_list, response._body, None))
    Outcome(page, body)
    return None


def _log_and_forget(app: Any, here: dict[str, Any], finished: Finished) -> Finished:
    """Write the access log, which may be the first to look at the request, and end it."""
    try:
        app.log.access()
    except Exception:
        log.error(traceback=True)
    if "_unmade" in here and not bus.listeners.get("after_request"):
        here.clear()
    else:
        _end(app, serving.request)
    return finished


def _end(app: Any, request: Request) -> None:
    """Forget the request of a page that went the short way to its end: no hook can fail here, there are none."""
    if bus.listeners.get("after_request"):
        app.release_serving()
    else:
        # what ``request.close`` would do
        request.closed = True
        request.stage = "close"
        serving.clear()


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


def _finish(route: Route, request: Any, response: Any, octets: bytes) -> bool:
    """Finalize a response that somebody has looked at; False, and nothing is changed, if it is not plain any more."""
    if request._hooks is not None or request._config is not None:
        return False
    sent_type = route.sent_type
    if response.finalize_plain(octets, sent_type) or _finish_touched(response, octets, route.kind, sent_type):
        request.stage = "on_end_resource"
        return True
    return False


def _finish_touched(response: Any, octets: bytes, content_type: str, sent_type: str) -> bool:
    """Finalize a response that the page has touched; False, and nothing is changed, if its type is another one."""
    headers = response.headers
    if _header(headers, "Content-Type") != content_type or response.stream:
        return False
    length = _header(headers, "Content-Length")
    _set_header(headers, "Content-Type", sent_type)
    _set_header(headers, "Content-Length", str(len(octets)))
    response._body = [octets] if octets else []
    try:
        response.finalize()
    except Exception:
        # a status that is none: the long way finds that out again
        _set_header(headers, "Content-Type", content_type)
        if length is None:
            del headers["Content-Length"]
        else:
            _set_header(headers, "Content-Length", length)
        return False
    return True
