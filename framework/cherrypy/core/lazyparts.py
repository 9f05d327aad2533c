"""How the lazy attributes of a request are made, each from the request itself."""

from __future__ import annotations

import http.cookies
from typing import Any

from cherrypy.conf.ini import NamespaceSet
from cherrypy.core import formdata, rawheaders
from cherrypy.core.errors import HTTPError
from cherrypy.core.hooks import HookMap, hookpoints
from cherrypy.core.host import Host
from cherrypy.core.lazy import lazy, tracked
from cherrypy.core.plan import NO_PLAN, Plan
from cherrypy.http.cookies import RequestCookie
from cherrypy.http.headers import HeaderMap


def make_base(request: Any) -> str:
    """Return scheme://host, from the Host header or the address that the server listens at; '' outside of a request."""
    if request._path is None:
        return ""
    host = request.headers.get("Host") or request.local.name or request.local.ip
    return f"{request.scheme}://{host}"


def make_local(request: Any) -> Host:
    """Return where the server took the request."""
    if request._message is None:
        environ = request.wsgi_environ
        return local_of(environ) if environ else Host("127.0.0.1", 80)
    local = request._message.connection.local
    return Host("", local[1], local[0]) if isinstance(local, tuple) else Host("", 0, local)


def make_remote(request: Any) -> Host:
    """Return where the request came from."""
    if request._message is None:
        environ = request.wsgi_environ
        return remote_of(environ) if environ else Host("127.0.0.1", 1111)
    address, port = request._message.connection.peer[:2]
    return Host(address, port)


def local_of(environ: dict[str, Any]) -> Host:
    """Return where a WSGI server took the request."""
    return Host("", _port(environ.get("SERVER_PORT", 80)), environ.get("SERVER_NAME", ""))


def remote_of(environ: dict[str, Any]) -> Host:
    """Return where the request came from, as a WSGI server says it."""
    get = environ.get
    return Host(get("REMOTE_ADDR", ""), _port(get("REMOTE_PORT", -1)), get("REMOTE_HOST", ""))


def _port(said: Any) -> int:
    """Return the number of a port; -1 for none. On Unix sockets servers say '', a path (waitress), or 'None'."""
    try:
        return int(said or -1)
    except ValueError:
        return -1


def make_request_line(request: Any) -> str:
    """Return 'GET /path?query HTTP/1.1'; '' before the request runs."""
    if request._path is None:
        return ""
    query = f"?{request.query_string}" if request.query_string else ""
    return f"{request.method} {request._path}{query} {request._req_protocol}"


def make_source(request: Any) -> Any:
    """Return where the headers are made from: the pairs that the native server parsed, () without them."""
    message = request._message
    return () if message is None else rawheaders.RawHeaders(message.headers, message.connection.peer[0])


def list_headers(request: Any) -> list[tuple[str, str]]:
    """Return the headers as they came, as pairs of text."""
    return list(request._source)


def parse_headers(request: Any) -> HeaderMap:
    """Return the headers as a map."""
    source = request._source
    if source.__class__ is rawheaders.RawHeaders:
        headers: HeaderMap = source.parse()
        return headers
    return rawheaders.parse_headers(request.header_list)


def parse_cookie(request: Any) -> Any:
    """Return the cookies.

    Raises:
        HTTPError: 400 if they are malformed.
    """
    cookie: Any = RequestCookie()
    value = request.headers.get("Cookie")
    if value:
        try:
            cookie.load(value)
        except http.cookies.CookieError as error:
            raise HTTPError(400, str(error)) from error
    return cookie


def make_body(request: Any) -> Any:
    """Return the RequestBody, with the attributes that the configuration gives it."""
    if request.rfile is None:
        return None
    body = formdata.RequestBody(request.rfile, request.headers, request_params=request.params)
    for name, value in request._plan.body_attributes.items():
        setattr(body, name, value)
    return body


def copy_config(request: Any) -> dict[str, Any] | None:
    """Return the merged configuration for this request to change."""
    plan = request._plan
    return None if plan is NO_PLAN else plan.config.copy()


# Stages at which a request may have a plan, but has not taken it: its hooks are still to come (``add_hooks``).
_BEFORE_THE_PLAN = frozenset({None, "run", "respond", "process_headers", "get_resource"})


def copy_hooks(request: Any) -> HookMap:
    """Return the hooks for this request to change.

    COMPAT: outside of a request they are those of the class, which all its requests have: plugins attach theirs there
    (``cherrypy.request.hooks.attach`` at start-up).
    """
    plan: Plan = request._plan
    if plan is NO_PLAN and request.app is None:
        shared: HookMap = type(request).hooks
        return shared
    if request._hooks_of is not plan and request.stage in _BEFORE_THE_PLAN:
        return HookMap(hookpoints)
    request._hooks_of = plan
    return plan.hooks.copy()


def add_hooks(request: Any, plan: Plan) -> None:
    """Add the hooks of *plan* to those of a request that somebody has touched before it had that plan.

    A listener of ``before_request`` did so, or a dispatcher. Theirs stay: of one priority, they come first.
    """
    old = request._hooks_of.hooks
    for point, hooks in plan.hooks.items():
        own = request._hooks.setdefault(point, [])
        shared = len(type(request).hooks.get(point, ()))
        early = [hook for hook in own if hook not in old.get(point, ())]
        own[:] = [*hooks[:shared], *early, *hooks[shared:]]
    request._hooks_of = plan


def copy_error_page(request: Any) -> dict[int | str, Any]:
    """Return the error pages for this request to change."""
    return dict(request._plan.error_page)


def copy_toolmaps(request: Any) -> dict[str, Any]:
    """Return {toolbox: {tool: {argument: value}}} for this request to change."""
    return {
        box: {tool: dict(arguments) for tool, arguments in tools.items()}
        for box, tools in request._plan.toolmaps.items()
    }


def make_namespaces(request: Any) -> NamespaceSet:
    """Return the class's namespaces and the application's toolboxes."""
    namespaces = NamespaceSet(type(request).namespaces)
    if request.app is not None:
        namespaces.update(request.app.toolboxes)
    return namespaces


def share_own_parts(kind: type) -> None:
    """Let the hooks and namespaces that a class of requests declares be what all of its requests begin with.

    COMPAT: ``class OwnRequest(Request): namespaces = Request.namespaces.copy()``; each request has a copy.
    """
    for name, part, make in (("hooks", tracked, copy_hooks), ("namespaces", lazy, make_namespaces)):
        own = vars(kind).get(name)
        if own is not None and not isinstance(own, lazy):
            shared = part(make, own)
            setattr(kind, name, shared)
            shared.__set_name__(kind, name)


def make_environ(request: Any) -> dict[str, Any]:
    """Return the WSGI environ that this request would have come with; {} outside of one."""
    environ: dict[str, Any] = request._make_environ(request) if request._make_environ is not None else {}
    return environ
