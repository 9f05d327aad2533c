"""The short way through a request: a GET for a page on which nothing but the default tools, or ``json_out``, is on.

What the long way (``Request.run``) finds at its eight hook points, in its dispatch and its tools is known beforehand
then (see ``route``): a page to call and a value to encode. So most of it is left out.

Law: the page is called once, and whatever is not exactly the plain case goes the long way: before the call by
returning None, after it by an ``Outcome``, which stands for the page that has been called already.

PERF: stage_cost.py: the whole of a plain request costs 20 us the long way.
"""

from __future__ import annotations

from time import time
from typing import Any

from cherrypy.aio.pages import ASYNCHRONOUS, settle
from cherrypy.app.application import announce_request
from cherrypy.app.route import JSON, TEXT, Route
from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log
from cherrypy.core.request import Request
from cherrypy.core.response import Response
from cherrypy.dispatch.handlers import LateParamPageHandler
from cherrypy.httpd.message import HTTP_11
from cherrypy.lib import jsontools
from cherrypy.lib.encoding import ResponseEncoder
from cherrypy.process.wspbus import bus

_TEXT_IN_UTF8 = "text/html;charset=utf-8"
_new = object.__new__
_encode = jsontools.json.encode
_header = dict.get
_set_header = dict.__setitem__


class Outcome:
    """What calling the page gave, to be given once more where the long way calls the page."""

    __slots__ = ("body", "callable", "content_type", "dispatch", "error")

    def __init__(self, request: Any, page: Any, body: Any, error: BaseException | None = None) -> None:
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


def begin(app: Any, script_name: str, message: Any) -> tuple[Request, Response]:
    """Make a request and a response the current ones of this thread, as ``Application.get_serving`` does.

    PERF: without their constructors: what those do is known here, and half of it is not needed.
    """
    announce_request()
    serving.request = request = _new(Request)
    serving.response = response = _new(Response)
    response.status = None
    response._body = []
    response.time = time()
    request.app = app
    if script_name:
        request.script_name = script_name
    request._message = message
    return request, response


def end(app: Any, request: Request) -> None:
    """Forget the request of a page that went the short way to its end: no hook can fail here, there are none."""
    if bus.listeners.get("after_request"):
        app.release_serving()
    else:
        # what ``request.close`` would do
        request.closed = True
        request.stage = "close"
        serving.clear()


def serve(
    route: Route, page: Any, arguments: tuple[str, ...], message: Any, path: str, request: Request, response: Any
) -> bool:
    """Call *page* and finish *response*; False if the long way has to be gone (on).

    Args:
        route: leads to the page.
        page: what the route led to just now.
        arguments: its positional arguments.
        message: a GET without body, as the native server hands it over, or what looks like one.
        path: decoded, with the script name.
        request: new, and current in this thread (``begin``).
        response: likewise.
    """
    _prepare(route, arguments, message, path, request)
    if message.query:
        request.query_string = message.query
        try:
            request.process_query_string()
        except HTTPError:
            return False
    kind = route.kind
    if kind is JSON:
        response._content_type = JSON
    message.entering(route.key)
    parameters = request._params
    try:
        body = page(*arguments, **parameters) if parameters else page(*arguments)
    except TypeError as error:
        Outcome(request, page, None, _explained(request, page, error))
        return False
    except BaseException as error:
        Outcome(request, page, None, error)
        return False
    if (
        request._hooks is not None
        or request._config is not None
        or (message.names_charset and kind is TEXT)
        or not (_finish_text(response, body) if kind is TEXT else _finish_json(response, body))
    ):
        Outcome(request, page, body)
        return False
    request.stage = "on_end_resource"
    try:
        route.app.log.access()
    except Exception:
        log.error(traceback=True)
    return True


def _prepare(route: Route, arguments: tuple[str, ...], message: Any, path: str, request: Request) -> None:
    """Give *request* all that a page may look at."""
    script_name = route.script_name
    request.path_info = path[len(script_name) :] if script_name else path
    request.is_index = route.walk.is_index
    request._plan = plan = route.plan
    if plan.request_attributes:
        for name, value in plan.request_attributes.items():
            setattr(request, name, value)
    if message.version is not HTTP_11 and message.version != HTTP_11:
        request._req_protocol = "HTTP/1.0"
        request.protocol = message.version
    if arguments:
        request._arguments = arguments
    request._path = path
    request.rfile = message.body
    request.process_request_body = False
    request.stage = "handler"
    request._make_handler = _make_handler


def _make_handler(request: Any) -> Any:
    """Make the handlers that the long way would have made, for a page that looks at its own."""
    page, _ = request.dispatch.find_handler(request.path_info)
    handler = LateParamPageHandler(page, *request._arguments)
    if request._plan.short_way is JSON:
        request._json_inner_handler = handler
        request.handler = jsontools.json_handler
    else:
        request.handler = handler
    return ResponseEncoder()


def _explained(request: Any, page: Any, error: TypeError) -> Exception:
    handler = LateParamPageHandler(page, *request._arguments)
    try:
        handler.explain(error, handler.args, handler.kwargs)
    except HTTPError as mismatch:
        return mismatch
    return error


def _finish_text(response: Any, body: Any) -> bool:
    """Encode and finalize; False, and nothing is changed, if the page did anything but return plain text."""
    if body.__class__ is str:
        try:
            octets = body.encode()
        except UnicodeEncodeError:
            return False  # lone surrogates; the tool has an answer to that
    elif body.__class__ is bytes:
        octets = body
    else:
        return False
    return response.finalize_plain(octets, _TEXT_IN_UTF8) or _finish_touched(response, octets, TEXT, _TEXT_IN_UTF8)


def _finish_json(response: Any, body: Any) -> bool:
    """Encode and finalize; False, and nothing is changed, if that is no JSON or the page chose another type."""
    try:
        # COMPAT: applications put an encoder of their own in the place of ``encode``
        codec = jsontools.json
        octets = codec.encode_whole(body) if codec.encode is _encode else b"".join(codec.encode(body))
    except Exception:
        return False  # the long way raises it again, where it belongs
    return response.finalize_plain(octets, JSON) or _finish_touched(response, octets, JSON, JSON)


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
