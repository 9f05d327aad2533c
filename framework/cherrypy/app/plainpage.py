"""The short way through a request: a GET for a page on which nothing but the default tools is on.

What the long way (``Request.run``) finds at its eight hook points, in its dispatch and its tools is known beforehand
then: a remembered walk, a plan without further hooks, a page to call and text to encode. So most of it is left out.

Law: the page is called once, and whatever is not exactly the plain case goes the long way: before the call by
returning False, after it by an ``Outcome``, which stands for the page that has been called already.

PERF: stage_cost.py, the whole of a plain request: 20.3 us the long way, 11.8 us the short way.
"""

from __future__ import annotations

from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log
from cherrypy.core.plan import Plan
from cherrypy.core.request import Request
from cherrypy.core.response import Response
from cherrypy.dispatch.handlers import LateParamPageHandler
from cherrypy.dispatch.objects import Dispatcher
from cherrypy.httpd.message import Message
from cherrypy.lib.encoding import ResponseEncoder, names_charsets
from cherrypy.lib.redirection import trailing_slash

_DEFAULT_TOOLS = [trailing_slash, ResponseEncoder]
_DEFAULT_POINTS = frozenset({"before_handler", "before_error_response"})

_NO_ARGUMENTS: tuple[Any, ...] = ()
_header = dict.get


class Outcome:
    """What calling the page gave, to be given once more where the long way calls the page."""

    __slots__ = ("body", "callable", "dispatch", "error")

    def __init__(self, request: Any, page: Any, body: Any, error: BaseException | None = None) -> None:
        self.callable = page
        self.body = body
        self.error = error
        self.dispatch = request.dispatch
        request.dispatch = self.take_the_place_of_the_page

    def take_the_place_of_the_page(self, path_info: str) -> None:
        """Dispatch as the request would have done, and put this outcome in the place of what was found."""
        self.dispatch(path_info)
        serving.request.handler = self

    def __call__(self) -> Any:
        """Return what the page returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return self.body


def serve(app: Any, message: Message, path: str, request: Any, response: Any) -> bool:
    """Call the page at *path* and finish *response*; False if the long way has to be gone (on).

    Args:
        app: an ``Application`` with nothing around it.
        message: a GET without body or query.
        path: decoded, with the script name.
        request: new, and current in this thread.
        response: likewise.
    """
    if request.__class__ is not Request or response.__class__ is not Response:
        return False  # they may have a life of their own
    plans = app.plans
    plans.refresh(request, app)
    dispatcher = request.dispatch
    if plans.has_dispatch or dispatcher.__class__ is not Dispatcher:
        return False
    script_name = request.script_name
    path_info = path[len(script_name) :] if script_name else path
    walk = plans.walks_of(dispatcher).get(path_info)
    if walk is None or (walk.is_index and path_info[-1:] != "/"):
        return False
    page = walk.still_leads_to(app.root)
    plan = walk.plan
    if page is None or not (is_plain(plan) if plan.is_plain is None else plan.is_plain):
        return False
    _prepare(request, message, path, path_info, plan)
    request.is_index = walk.is_index
    request.handler = handler = LateParamPageHandler(page)
    ResponseEncoder()  # a page that looks at the handler finds the tool there
    message.entering(getattr(page, "__code__", LateParamPageHandler))
    try:
        body = page()
    except TypeError as error:
        Outcome(request, page, None, _explained(handler, error))
        return False
    except BaseException as error:
        Outcome(request, page, None, error)
        return False
    return _finish(app, request, response, body) or (Outcome(request, page, body) is None)


def is_plain(plan: Plan) -> bool:
    """True for a plan by which only the default tools are on, with their default arguments; remembered in the plan."""
    if not plan.is_compiled:
        return False
    hooks = plan.points.get("before_handler", ())
    plan.is_plain = (
        plan.is_simple
        and plan.points.keys() <= _DEFAULT_POINTS
        and [hook.callback for hook in hooks] == _DEFAULT_TOOLS
        and not any(hook.kwargs for hook in hooks)
        and "GET" not in plan.request_attributes.get("methods_with_bodies", ())
    )
    return plan.is_plain


def _prepare(request: Any, message: Message, path: str, path_info: str, plan: Plan) -> None:
    """Give *request* all that a page may look at."""
    request.method = "GET"
    request._req_protocol = "HTTP/1.1" if message.version == (1, 1) else "HTTP/1.0"
    request.protocol = message.version
    request._path = path
    request.path_info = path_info
    request.rfile = message.body
    request.process_request_body = False
    request.stage = "handler"
    request._plan = plan
    if plan.request_attributes:
        for name, value in plan.request_attributes.items():
            setattr(request, name, value)


def _explained(handler: LateParamPageHandler, error: TypeError) -> Exception:
    try:
        handler.explain(error, _NO_ARGUMENTS, {})
    except HTTPError as mismatch:
        return mismatch
    return error


def _finish(app: Any, request: Any, response: Any, body: Any) -> bool:
    """Encode and finalize; False, and nothing is changed, if the page did anything but return plain text."""
    headers = response.headers
    if (
        (body.__class__ is not str and body.__class__ is not bytes)
        or _header(headers, "Content-Type") != "text/html"
        or response.stream
        or request._hooks is not None
        or request._config is not None
        or names_charsets(request)
    ):
        return False
    try:
        octets = body.encode() if body.__class__ is str else body
    except UnicodeEncodeError:
        return False  # lone surrogates; the tool has an answer to that
    dict.__setitem__(headers, "Content-Type", "text/html;charset=utf-8")
    dict.__setitem__(headers, "Content-Length", str(len(octets)))
    response._body = [octets] if octets else []
    request.stage = "finalize"
    try:
        response.finalize()
    except Exception:
        # a status that is none: the long way finds that out again
        dict.__setitem__(headers, "Content-Type", "text/html")
        del headers["Content-Length"]
        return False
    request.stage = "on_end_resource"
    try:
        app.log.access()
    except Exception:
        log.error(traceback=True)
    return True
