"""Request and response of the short ways, ``plainpage`` and ``plainfile``: made when somebody looks.

Law: in ``serving`` of a thread stands ``_unmade``, what to call for them, until they are made; and ``_finished``,
an ``Answer``, if their answer was there before they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from cherrypy.app.route import FILES, JSON
from cherrypy.context import serving
from cherrypy.core.request import Request
from cherrypy.core.response import Response
from cherrypy.dispatch.handlers import LateParamPageHandler
from cherrypy.httpd.message import HTTP_11
from cherrypy.lib import jsontools
from cherrypy.lib.encoding import ResponseEncoder

if TYPE_CHECKING:
    from cherrypy.app.route import Route

#: Called with a new request and its message, lets the request know where it came from.
Introduce: TypeAlias = Callable[[Any, Any], None]

_new = object.__new__


def begun() -> tuple[Any, Any] | None:
    """Return the request and the response that the short way has begun with, if it has."""
    return (serving.request, serving.response) if serving.__dict__ else None


def make(
    introduce: Introduce,
    route: Route,
    arguments: tuple[str, ...],
    parameters: dict[str, Any] | None,
    message: Any,
    path: str,
    moment: float,
) -> None:
    """Make request and response, with all that a page may look at, for somebody who looks.

    PERF: without their constructors: what those do is known here, and half of it is not needed.
    """
    here = serving.__dict__
    here["request"] = request = _new(Request)
    here["response"] = response = _new(Response)
    response.status = None
    response._body = []
    response.time = moment
    kind = route.kind
    if kind is JSON:
        response._content_type = JSON
    script_name = route.script_name
    request.app = route.app
    if script_name:
        request.script_name = script_name
    request.path_info = path[len(script_name) :] if script_name else path
    request.is_index = route.walk.is_index
    request._plan = plan = route.plan
    if message.version is not HTTP_11 and message.version != HTTP_11:
        request._req_protocol = "HTTP/1.0"
        request.protocol = message.version
    if arguments:
        request._arguments = arguments
    request._path = path
    request.rfile = message.body
    request.process_request_body = False
    request.stage = "handler"
    if kind is not FILES:
        request._make_handler = _make_handler
    introduce(request, message)
    if plan.request_attributes:
        for name, value in plan.request_attributes.items():
            setattr(request, name, value)
    if message.query:
        request.query_string = message.query
        request._params = parameters
    finished = here.pop("_finished", None)
    if finished is not None:
        # somebody looks behind the end: a log
        response.output_status, fields, response._body, _ = finished
        response.header_list = list(fields)  # the answers of others may have the same
        response.status = "200 OK"
        request.stage = "on_end_resource"


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
