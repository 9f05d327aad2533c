"""The short way through a request: a GET for a page on which nothing but the default tools, or ``json_out``, is on.

What the long way (``Request.run``) finds at its eight hook points, in its dispatch and its tools is known beforehand
then (see ``route``): a page to call and a value to encode. So most of it is left out.

Law: the page is called once, and whatever is not exactly the plain case goes the long way: before the call by
returning None, after it by an ``Outcome``, which stands for the page that has been called already.

PERF: stage_cost.py: the whole of a plain request costs 20 us the long way; 5.3 us with a request and a response, 3.4 us
without them: most pages look at neither (``context.Serving``).
"""

from __future__ import annotations

from logging import INFO
from time import time
from typing import Any, TypeAlias

from cherrypy.app.application import announce_thread
from cherrypy.app.calling import Outcome, call
from cherrypy.app.repeated import OK, fields_of
from cherrypy.app.route import Route
from cherrypy.app.unmade import Introduce, make
from cherrypy.context import serving
from cherrypy.core.loghandlers import has_reader
from cherrypy.core.logs import LogManager, log
from cherrypy.core.request import Request
from cherrypy.http.query import parse_query_string
from cherrypy.process.wspbus import bus

#: An ``Answer``: (status, header fields, body, nothing to close)
Finished: TypeAlias = "tuple[bytes, list[tuple[bytes, bytes]], list[bytes], None]"

_header = dict.get
_set_header = dict.__setitem__


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
    if here:
        # SECURITY: of a request that nobody closed (middleware that forgets to): the page would take it for its own
        here.clear()
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
    again = None
    if message.batch is not None and may_come_again(route, parameters):
        again = Again(route, page, arguments, parameters, path, introduce, moment)
    octets, body = call(route, page, arguments, parameters, message)
    if octets is None:
        return None
    if again is not None:
        message.batch[message.target] = again
    return _finish(route, page, body, octets, here, moment)


class Again:
    """What ``serve`` has found for one request of a batch, for the others of the same batch and target.

    They were there before that one was served, so what holds for it holds for them: where the page is, that nobody
    listens to the beginning of requests or reads the access log, that this thread is known, and the time.

    PERF: the whole of a request, server included: 1,027 -> 604 instructions of the interpreter.
    """

    __slots__ = ("arguments", "fields", "introduce", "moment", "page", "parameters", "path", "route")

    def __init__(
        self,
        route: Route,
        page: Any,
        arguments: tuple[str, ...],
        parameters: dict[str, str] | None,
        path: str,
        introduce: Introduce,
        moment: float,
    ) -> None:
        self.route = route
        self.page = page
        self.arguments = arguments
        self.parameters = parameters.copy() if parameters else None
        self.path = path
        self.introduce = introduce
        self.moment = moment
        self.fields = fields_of(moment, route.sent_type, 0)

    def serve(self, message: Any) -> Finished | None:
        """Do what ``serve`` of this module does."""
        here = serving.__dict__
        here["_unmade"] = _make_again, self, message
        route = self.route
        octets, body = call(route, self.page, self.arguments, self.parameters, message)
        if octets is None:
            return None
        if len(here) == 1 and not bus.listeners.get("after_request"):
            here.clear()
            fields = self.fields
            if fields.size != len(octets):
                fields = self.fields = fields_of(self.moment, route.sent_type, len(octets))
            return OK, fields, [octets], None
        return _finish(route, self.page, body, octets, here, self.moment)


def _make_again(again: Again, message: Any) -> None:
    parameters = again.parameters
    if parameters is not None:
        parameters = parameters.copy()  # they become the request's
    make(again.introduce, again.route, again.arguments, parameters, message, again.path, again.moment)


def may_come_again(route: Route, parameters: dict[str, Any] | None) -> bool:
    """True if nobody would miss what ``Again`` leaves out."""
    manager = route.app.log
    if getattr(manager.access, "__func__", None) is not LogManager.access or has_reader(manager.access_log, INFO):
        return False
    # lists of values would be shared
    return not parameters or all(value.__class__ is str for value in parameters.values())


def _finish(route: Route, page: Any, body: Any, octets: bytes, here: dict[str, Any], moment: float) -> Finished | None:
    """Return the finished answer with *octets*; None if *page*, which returned *body*, has made it a special one."""
    if len(here) == 1:
        # PERF: nobody has looked at request or response, so there are none
        finished: Finished = (
            OK,
            fields_of(moment, route.sent_type, len(octets)),
            [octets] if octets else [],
            None,
        )
        here["_finished"] = finished
        return _log_and_forget(route.app, here, finished)
    response = serving.response
    if _finalize(route, serving.request, response, octets):
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


def _finalize(route: Route, request: Any, response: Any, octets: bytes) -> bool:
    """Finalize a response that somebody has looked at; False, and nothing is changed, if it is not plain any more."""
    if request._hooks is not None or request._config is not None:
        return False
    sent_type = route.sent_type
    if response.finalize_plain(octets, sent_type) or _finalize_touched(response, octets, route.kind, sent_type):
        request.stage = "on_end_resource"
        return True
    return False


def _finalize_touched(response: Any, octets: bytes, content_type: str, sent_type: str) -> bool:
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
