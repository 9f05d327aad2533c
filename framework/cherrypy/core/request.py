"""One request, from its head to its finished response.

The stages, in order; each is the value of ``request.stage`` while it lasts::

    run -> respond -> process_headers -> get_resource (dispatch) -> on_start_resource -> process_query_string
        -> before_request_body -> process_body -> before_handler -> handler -> before_finalize -> finalize
        -> on_end_resource;  later, when the answer is out: close (on_end_request)

``HTTPError`` and ``HTTPRedirect`` go to before_finalize with the response they made; anything else goes through
before_error_response, ``error_response()``, after_error_response.
"""

from __future__ import annotations

import http.cookies
from typing import Any

from cherrypy.conf import site
from cherrypy.conf.ini import NamespaceSet
from cherrypy.context import serving
from cherrypy.core import lazyparts, requestkeys
from cherrypy.core.errorpage import bare_error, format_exc
from cherrypy.core.errors import CherryPyException, HTTPError, HTTPRedirect, InternalRedirect, NotFound
from cherrypy.core.hooks import HookMap, hookpoints, run_in_order
from cherrypy.core.host import Host
from cherrypy.core.later import Later
from cherrypy.core.lazy import lazy, reserve, tracked
from cherrypy.core.logs import log
from cherrypy.core.namespaces import namespaces
from cherrypy.core.plan import NO_PLAN, Plan, SharedHooks, Watched, set_all
from cherrypy.core.rawheaders import RawHeaders
from cherrypy.core.uniqueid import LazyUUID4
from cherrypy.http.bodyerrors import BodyError
from cherrypy.http.errors import BadHeader
from cherrypy.http.headers import HeaderMap
from cherrypy.http.query import parse_query_string
from cherrypy.http.urls import protocol_from_http


class Request(metaclass=Watched):
    """What the client asks for.

    Attributes that stand here as class attributes are also configuration keys (``request.NAME``).
    Those marked lazy are parsed when they are first touched.
    """

    prev: Request | None = None
    """The request that an InternalRedirect replaced by this one; it is closed."""
    local: Host = lazy(lazyparts.make_local, Host("127.0.0.1", 80))  # type: ignore[assignment]
    """Where the server listens."""
    remote: Host = lazy(lazyparts.make_remote, Host("127.0.0.1", 1111))  # type: ignore[assignment]
    """Where the client is."""
    scheme: str = "http"
    server_protocol: str = "HTTP/1.1"
    base: str = lazy(lazyparts.make_base, "")  # type: ignore[assignment]
    """scheme://host as the client names them. Lazy."""

    request_line: str = lazy(lazyparts.make_request_line, "")  # type: ignore[assignment]
    method: str = "GET"
    query_string: str = ""
    query_string_encoding: str = "utf8"
    query_separators: str = "&"
    """What stands between the parameters of a query or form: '&', or '&;' for both, as it was in older days."""
    protocol: tuple[int, int] = (1, 1)
    """What both client and server speak."""
    params: dict[str, Any] = tracked(lambda request: {}, {})  # type: ignore[assignment]
    """Parameters of the query and, once it is read, of the body; a repeated one is a list."""

    header_list: list[tuple[str, str]] = lazy(lazyparts.list_headers, [])  # type: ignore[assignment]
    headers: HeaderMap = tracked(lazyparts.parse_headers, HeaderMap())  # type: ignore[assignment]
    """Case-insensitive; repeated headers are joined by ', '. Lazy."""
    cookie: Any = lazy(lazyparts.parse_cookie, http.cookies.SimpleCookie())
    """SimpleCookie. Lazy: a malformed one answers 400 to whoever touches it."""

    rfile: Any = None
    process_request_body: bool = True
    methods_with_bodies: tuple[str, ...] = ("POST", "PUT", "PATCH")
    body: Any = lazy(lazyparts.make_body)
    """RequestBody, after dispatch."""

    dispatch: Any = None
    """The dispatcher; looked up in the application's configuration by path. ``_wiring`` sets the default."""
    script_name: str = ""
    path_info: str = "/"
    login: str | None = None
    app: Any = None
    handler: Any = lazy(lambda request: request._make_handler and request._make_handler(request))
    """What is called for the answer; tools wrap or replace it."""
    args: Any = lazy(lambda request: request._arguments, ())
    """Positional arguments of the page: the rest of the path."""
    kwargs: Any = lazy(lambda request: {}, {})
    """Keyword arguments of the page besides ``params``."""
    toolmaps: dict[str, Any] = lazy(lazyparts.copy_toolmaps, {})  # type: ignore[assignment]
    config: Any = tracked(lazyparts.copy_config)
    """The merged configuration of the handler; a copy of this request's own. Lazy."""
    is_index: bool | None = None

    hooks: HookMap = tracked(lazyparts.copy_hooks, SharedHooks(hookpoints))  # type: ignore[assignment]
    """This request's own copy of the hooks. Lazy: untouched, the compiled ones run."""
    error_response: Any = HTTPError(500).set_response
    error_page: dict[int | str, Any] = lazy(lazyparts.copy_error_page, {})  # type: ignore[assignment]
    show_tracebacks: bool = True
    show_mismatched_params: bool = True
    throws: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit, InternalRedirect)
    throw_errors: bool = False
    closed: bool = False
    stage: str | None = None
    unique_id: LazyUUID4 = lazy(lambda request: LazyUUID4())  # type: ignore[assignment]
    namespaces: NamespaceSet = lazy(lazyparts.make_namespaces, namespaces)  # type: ignore[assignment]
    """Handlers of configuration keys by the first part of the key; add to those of the class."""
    wsgi_environ: dict[str, Any] = lazy(lazyparts.make_environ, {})  # type: ignore[assignment]
    """WSGI environ; on the native path made when someone asks for it. Lazy."""
    multithread: bool = True
    multiprocess: bool = False
    _plan: Plan = NO_PLAN
    _path: str | None = None
    _req_protocol: str = "HTTP/1.1"
    _hooks: HookMap | None
    _hooks_of: Plan = NO_PLAN  # the plan whose hooks are in ``_hooks``, as soon as there are any
    _config: Any
    _params: dict[str, Any] | None
    _headers: HeaderMap | None
    _source: Any = lazy(lazyparts.make_source, ())
    _make_environ: Any = None
    _make_handler: Any = None
    _arguments: Any = ()
    _message: Any = None
    _entering: Any = None  # through WSGI: who is told which page runs

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        lazyparts.share_own_parts(cls)

    def __init__(
        self, local_host: Host | None, remote_host: Host | None, scheme: str = "http", server_protocol: str = "HTTP/1.1"
    ) -> None:
        # the native path leaves both to be made if someone looks
        if local_host is not None and remote_host is not None:
            self.local = local_host
            self.remote = remote_host
        self.scheme = scheme
        self.server_protocol = server_protocol

    def run(self, method: str, path: str, query_string: str, req_protocol: str, headers: Any, rfile: Any) -> Any:
        """Process the request and return the finished response.

        Args:
            method: 'GET', ...
            path: decoded, with the script name; '/' separates segments, '%2F' is a slash inside one.
            query_string: raw.
            req_protocol: 'HTTP/1.1', ...
            headers: (name, value) pairs of text, or ``RawHeaders``.
            rfile: the body, readable in bytes.
        """
        response = serving.response
        self.stage = "run"
        try:
            self.method = method
            self.query_string = query_string
            self._req_protocol = req_protocol
            self._path = path = path or "/"
            # the lower of what the client and the server speak
            self.protocol = (1, 1) if req_protocol == self.server_protocol == "HTTP/1.1" else self._lower(req_protocol)
            self._source = headers
            if headers.__class__ is not RawHeaders:
                self.header_list = list(headers)
            self.rfile = rfile
            self._params = None  # what somebody put there before the request began does not count
            script_name = self.script_name
            # '' at the mount point itself, which lacks a slash: the index there redirects to itself with one
            self.path_info = path[len(script_name) :] if script_name else path
            self.stage = "respond"
            self.respond(self.path_info)
        except self.throws:
            response.abandon()
            raise
        except Exception:
            if self.throw_errors:
                raise
            response = self._recover(response)
        if self.method == "HEAD":
            response.abandon()
        try:
            self.app.log.access()
        except Exception:
            log.error(traceback=True)
        return response

    def _lower(self, req_protocol: str) -> tuple[int, int]:
        return min(protocol_from_http(req_protocol), protocol_from_http(self.server_protocol))

    def _recover(self, response: Any) -> Any:
        """Answer an unexpected error; if that fails too, with the bare minimum."""
        replaced = response._body
        try:
            self.stage = "handle_error"
            self.handle_error()
        except self.throws:
            raise
        except Exception:
            if self.throw_errors:
                raise
            log(traceback=True, severity=40)
            body = format_exc() if self.show_tracebacks else ""
            response.output_status, response.header_list, response.body = bare_error(body)
        response.discard(replaced)
        return response

    def respond(self, path_info: str) -> None:
        """Produce the response: the stages from the headers to on_end_resource."""
        response = serving.response
        try:
            try:
                self._do_respond(path_info)
            except (HTTPRedirect, HTTPError, BadHeader, BodyError) as error:
                answer = error if isinstance(error, CherryPyException) else HTTPError(error.status, str(error))
                replaced = response._body
                answer.set_response()
                response.discard(replaced)
                self.stage = "before_finalize (HTTPError)"
                self._run_hooks("before_finalize")
                response.finalize()
        except Later:
            raise  # the page goes on elsewhere, and this request after it
        except BaseException:
            self.stage = "on_end_resource"
            self._run_hooks("on_end_resource")
            raise
        self.stage = "on_end_resource"
        # PERF: asked here first, since most plans have no hook at most points (6 calls, 1.2 us of a request)
        if "on_end_resource" in self._plan.points or self._hooks is not None:
            self._run_hooks("on_end_resource")

    def _do_respond(self, path_info: str) -> None:
        response = serving.response
        if self.app is None:
            raise NotFound()
        self.stage = "process_headers"
        self.process_headers()
        self.stage = "get_resource"
        self.get_resource(path_info)
        plan = self._plan
        if not plan.is_simple or self._config is not None:
            plan = self._apply_plan(response)
        else:
            if plan.request_attributes:
                set_all(self, plan.request_attributes)
            if self._hooks is not None and self._hooks_of is not plan:
                lazyparts.add_hooks(self, plan)
        points = plan.points
        if self._message is not None or self._entering is not None:
            self._announce_handler()
        self.stage = "on_start_resource"
        if "on_start_resource" in points or self._hooks is not None:
            self._run_hooks("on_start_resource")
        self.stage = "process_query_string"
        if self.query_string:
            self.process_query_string()
        if self.process_request_body and self.method not in self.methods_with_bodies:
            self.process_request_body = False
        self.stage = "before_request_body"
        if "before_request_body" in points or self._hooks is not None:
            self._run_hooks("before_request_body")
        if self.process_request_body:
            self.stage = "process_body"
            self.body.process()
        self.stage = "before_handler"
        if "before_handler" in points or self._hooks is not None:
            self._run_hooks("before_handler")
        if self.handler:
            self.stage = "handler"
            response.body = self.handler()
        self.stage = "before_finalize"
        if "before_finalize" in points or self._hooks is not None:
            self._run_hooks("before_finalize")
        self.stage = "finalize"
        response.finalize()

    def _announce_handler(self) -> None:
        """Tell the server which page is going to run: it remembers which of them block."""
        announce = self._entering or self._message.entering
        page = getattr(self.handler, "callable", None)
        # a code object: there are as many as there are functions, however many objects have them as methods
        announce(getattr(page, "__code__", None) or type(self.handler))

    def _run_hooks(self, point: str) -> None:
        own = self._hooks
        if own is None:
            run_in_order(iter(self._plan.points.get(point, ())))
        else:
            own.run(point)

    def _apply_plan(self, response: Any) -> Plan:
        """Give this request what its configuration says: hooks, tools, attributes; return the plan."""
        plan = self._plan
        if plan is NO_PLAN or self._config is not None:
            # a dispatcher that is not ours made a configuration of its own, or changed ours
            plan = self._plan = self._loose_plan()
        if not plan.is_compiled:
            plan.compile(self, response)
        if self._hooks is not None and self._hooks_of is not plan:
            lazyparts.add_hooks(self, plan)
        self._hooks_of = plan
        set_all(self, plan.request_attributes)
        set_all(response, plan.response_attributes)
        for name, value in plan.response_headers.items():
            response.headers[name] = value
        if plan.body_attributes and "body" in vars(self):
            set_all(self.body, plan.body_attributes)
        if plan.is_dynamic:
            for handlers, settings in plan.deferred:
                handlers(settings)
            for setup in plan.setups:
                setup()
        return plan

    def _loose_plan(self) -> Plan:
        config = self._config
        if config is None:
            # from a dispatcher that cares for none: what every page of the application has
            config = {**site.config, **self.app.config.get("/", {})}
        plan: Plan = self.app.plans.for_config(config)
        return plan

    def process_query_string(self) -> None:
        """Add the parameters of the query to ``params``.

        Raises:
            HTTPError: 404 if it is not in ``query_string_encoding``.
        """
        try:
            parsed = parse_query_string(
                self.query_string, encoding=self.query_string_encoding, separators=self.query_separators
            )
        except UnicodeDecodeError:
            raise HTTPError(
                404,
                "The given query string could not be processed. Query strings for this resource must be encoded with "
                f"{self.query_string_encoding!r}.",
            ) from None
        self.params.update(parsed)

    def process_headers(self) -> None:
        """Check what has to be right in the headers before anything else happens.

        Raises:
            HTTPError: 400 if an HTTP/1.1 client does not name the host.
        """
        if self._source.__class__ is RawHeaders:
            # the native server has checked them; they are parsed when someone looks
            return
        if self.protocol >= (1, 1) and not self.headers.get("Host"):
            raise HTTPError(400, "HTTP/1.1 requires a 'Host' request header.")

    def get_resource(self, path: str) -> None:
        """Call the dispatcher, which sets ``handler`` and ``config``."""
        app = self.app
        plans = app.plans
        plans.refresh(self.__class__, app)
        if plans.has_dispatch:
            dispatch = app.find_config(path, "request.dispatch", self.dispatch)
            if not callable(dispatch):
                requestkeys.check("dispatch", dispatch)
        else:
            dispatch = self.dispatch
        dispatch(path)

    def handle_error(self) -> None:
        """Answer an unexpected exception: hooks around ``error_response()``."""
        response = serving.response
        try:
            self._run_hooks("before_error_response")
            if self.error_response:
                self.error_response()
            self._run_hooks("after_error_response")
            response.finalize()
        except HTTPRedirect as redirect:
            redirect.set_response()
            response.finalize()

    def close(self) -> None:
        """Run on_end_request, once: the answer is out, or the client has gone."""
        if not self.closed:
            self.closed = True
            self.stage = "on_end_request"
            if "on_end_request" in self._plan.points or self._hooks is not None:
                self._run_hooks("on_end_request")
            self.stage = "close"


reserve(
    Request,
    "app script_name _message _make_environ scheme path_info is_index _plan _arguments _path rfile process_request_body"
    " stage _make_handler query_string _params closed show_tracebacks show_mismatched_params method _req_protocol"
    " protocol _source _config handler args kwargs _headers _hooks",
)
