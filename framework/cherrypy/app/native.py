"""From the native server's message straight into ``Request.run``: no WSGI in between.

Foreign WSGI callables, and applications with a pipeline of their own, are served through ``httpd.gateway``.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

from cherrypy.aio.asgi.graft import ASGIGraft
from cherrypy.aio.asgi.scope import Origin, headers_of
from cherrypy.aio.exchange import StreamBody
from cherrypy.aio.pages import Pieces
from cherrypy.app import plainfile, plainpage
from cherrypy.app.application import Application
from cherrypy.app.continuation import put_aside
from cherrypy.app.route import FILES, Route, Routes, is_plain
from cherrypy.app.takeover import NO_BODY, Departure, is_taken
from cherrypy.app.tree import Tree
from cherrypy.app.trust import ServerTrust
from cherrypy.app.unmade import begun
from cherrypy.app.wsgi_server import gateway_for
from cherrypy.context import serving
from cherrypy.core.errors import InternalRedirect
from cherrypy.core.host import Host
from cherrypy.core.later import Later
from cherrypy.core.logs import log
from cherrypy.core.streams import file_generator, is_closable_iterator
from cherrypy.core.urls import join_script_name
from cherrypy.httpd.away import Handover
from cherrypy.httpd.files import FileSlice
from cherrypy.httpd.gateway import WSGIGateway, decode_path
from cherrypy.httpd.message import Answer, Message
from cherrypy.lib.filebody import FileBody
from cherrypy.wsgi.app import text_head
from cherrypy.wsgi.environ import recode
from cherrypy.wsgi.middleware import log_and_bare_error, note_redirect, with_query

_PROTOCOLS = {(1, 1): "HTTP/1.1", (1, 0): "HTTP/1.0"}
_NOT_FOUND: Answer = (b"404 Not Found", [(b"Content-Length", b"0")], [], None)


class NativeResponder:
    """Answers messages of the native server from what is mounted on a tree.

    Args:
        site: has the site's ``tree`` and ``server`` as attributes (the package itself); they are asked for at each
            request, since tests and applications replace them.
    """

    def __init__(self, site: Any) -> None:
        self.site = site
        self._trusting: ServerTrust | None = None
        self._gateway: tuple[Any, WSGIGateway | None] = (None, None)
        self._routes = Routes()
        # PERF: bound once
        self._make_environ = self._environ
        self._introduce_it = self._introduce

    def __call__(self, message: Message) -> Answer:
        """Answer one message."""
        tree = self.site.tree
        batch = message.batch
        if batch:
            again = batch.get(message.target)
            if again is not None and message.is_plain:
                return again.serve(message) or self._serve(again.route.app, message, again.path, begun())
        path = message.path
        may_be_short = message.method == "GET" and not message.has_body and message.query.isascii()
        if may_be_short:
            route, arguments = self._routes.find(path)
            if route is not None:
                page = route.page_in(tree)
                if page is not None:
                    return self._serve_shortly(route, page, arguments, message, path)
        if tree.__class__ is not Tree:
            # the site's tree stands behind middleware
            return self._by_wsgi(tree, message)
        if "%" in path:
            path = decode_path(path)
        if "//" in path:
            # as it is by WSGI: what is mounted at /blog answers //blog, and a page has one address in logs and links
            path = join_script_name("", path)
        app = _app_at(tree, path)
        if app is None:
            return _NOT_FOUND
        if not is_plain(app):
            if app.__class__ is ASGIGraft:
                return app.serve(message, self._origin_of(message))
            return self._by_wsgi(tree, message)
        if may_be_short and path.isascii():
            route, arguments = self._routes.learn(tree, app, path, is_as_sent=path is message.path)
            page = route.page_in(tree) if route is not None else None
            if route is not None and page is not None:
                return self._serve_shortly(route, page, arguments, message, path)
        return self._serve(app, message, path)

    def _serve_shortly(
        self, route: Route, page: Any, arguments: tuple[str, ...], message: Message, path: str
    ) -> Answer:
        """Call *page* the short way; on the long way as soon as it is not as plain as it was."""
        if route.kind is FILES:
            answer = plainfile.serve(route, message, path, self._introduce_it)
            return answer or self._serve(route.app, message, path)
        finished = plainpage.serve(route, page, arguments, message, path, self._introduce_it)
        return finished or self._serve(route.app, message, path, begun())

    def _by_wsgi(self, tree: Any, message: Message) -> Answer:
        return self._gateway_to(tree)(message)

    def _gateway_to(self, tree: Any) -> WSGIGateway:
        known, gateway = self._gateway
        if gateway is None or known is not tree:
            gateway = gateway_for(self.site.server, tree)
            self._gateway = (tree, gateway)
        return gateway

    def _environ(self, request: Any) -> dict[str, Any]:
        """Return the environ that *request* would have come with through WSGI."""
        environ = self._gateway_to(self.site.tree).environ(request._message)
        script_name = request.script_name
        if not script_name.isascii() and not environ["PATH_INFO"].startswith(script_name):
            script_name = script_name.encode("utf-8").decode("latin-1")
        environ["PATH_INFO"] = environ["PATH_INFO"][len(script_name) :]
        environ["SCRIPT_NAME"] = script_name
        return environ

    def _serve(self, app: Application, message: Message, path: str, begins: tuple[Any, Any] | None = None) -> Answer:
        """Run the request, which may have begun already (*begins*), and those it redirects to internally."""
        method, query = message.method, message.query
        rfile = message.body if message.has_body else NO_BODY
        if not (path.isascii() and query.isascii()):
            encoding = app.find_config(path, "request.uri_encoding", "utf-8")
            path, query = recode(path, query, "ISO-8859-1", encoding) or (path, query)
        try:
            request, response = begins or self._get_serving(app, message)
            request.run(method, path, query, _PROTOCOLS[message.version], request._source, rfile)
            return _answer(app, request, response)
        except BaseException as error:
            return self._otherwise(error, app, message, with_query(path, query), [])

    def _otherwise(
        self, error: BaseException, app: Application, message: Message, here: str, visited: list[str]
    ) -> Answer:
        """Answer the current request, at the URL *here*, whose run came to an exception.

        Args:
            error: the exception; it is being handled.
            app: the application.
            message: what came in.
            here: path and query.
            visited: the URLs that have redirected to here.
        """
        if isinstance(error, Later):
            # while another thread answers, nothing here may hold on to the request
            raise put_aside(
                error, app, message, _answer, partial(self._otherwise, here=here, visited=visited)
            ) from None
        if isinstance(error, InternalRedirect):
            return self._redirect(error, app, message, here, visited)
        if not isinstance(error, Exception):
            app.release_serving()
            raise error
        answer = _unrecoverable()
        app.release_serving()
        return answer

    def _redirect(
        self, redirect: InternalRedirect, app: Application, message: Message, here: str, visited: list[str]
    ) -> Answer:
        app.release_serving()
        path, query = app.script_name + redirect.path, redirect.query_string
        try:
            note_redirect(visited, here, with_query(path, query), False)
        except RuntimeError:
            return _unrecoverable()
        try:
            request, response = self._get_serving(app, message)
            request.prev = redirect.request
            request.run("GET", path, query, _PROTOCOLS[message.version], request._source, io.BytesIO())
            return _answer(app, request, response)
        except BaseException as error:
            return self._otherwise(error, app, message, with_query(path, query), visited)

    def _get_serving(self, app: Application, message: Message) -> tuple[Any, Any]:
        request, response = app.get_serving(None, None, message.connection.scheme, "HTTP/1.1")
        self._introduce(request, message)
        return request, response

    def _introduce(self, request: Any, message: Message) -> None:
        """Let *request* know where it came from."""
        request._message = message
        request._make_environ = self._make_environ
        connection = message.connection
        if connection.scheme != "http":
            request.scheme = connection.scheme
        if self.site.server.trusted_proxies:
            self._believe(request, connection.peer)

    def _believe(self, request: Any, peer: tuple[str, int]) -> None:
        """Take scheme, host and address of the client from what trusted proxies say, before dispatch."""
        headers = request.headers
        origin = self._trust().resolve(peer, headers)
        if origin is None:
            return
        if origin.remote:
            request.remote = Host(origin.remote, peer[1])
            headers["Remote-Addr"] = origin.remote
        if origin.scheme:
            request.scheme = origin.scheme
        if origin.host or origin.prefix:
            host = origin.host or headers.get("Host") or request.local.name
            request.base = f"{request.scheme}://{host}{origin.prefix or ''}"

    def _origin_of(self, message: Message) -> Origin:
        """Return what trusted proxies say, for an application that makes its own request."""
        if not self.site.server.trusted_proxies:
            return Origin()
        found = self._trust().resolve(message.connection.peer, headers_of(message))
        return Origin(found.remote or "", found.scheme or "") if found else Origin()

    def _trust(self) -> ServerTrust:
        server = self.site.server
        if self._trusting is None or self._trusting.server is not server:
            self._trusting = ServerTrust(server)
        return self._trusting


def _app_at(tree: Tree, path: str) -> Any:
    """Return what is mounted for *path*, None if nothing is."""
    apps = tree.apps
    if len(apps) == 1 and "" in apps:
        return apps[""]
    script_name = tree.script_name(path)
    return None if script_name is None else apps[script_name]


def _answer(app: Application, request: Any, response: Any) -> Answer:
    """Return the finished response as an answer; the request is released with it, at the latest by ``close``."""
    status, headers, body = response.output_status, response.header_list, response.body
    points = request._plan.points
    has_last_hooks = request._hooks is not None or "on_end_request" in points
    if has_last_hooks or "on_end_resource" in points:
        # hooks after finalize may have put anything there
        text_head(status, headers)
        if status[:3] == b"101" and is_taken(request._message.connection):
            body = Departure()
    if body.__class__ is list and not has_last_hooks:
        app.release_serving()
        return status, headers, body, None
    if body.__class__ is list or body.__class__ is tuple:
        return status, headers, body, _Closer(app, None)
    if isinstance(body, Pieces | Handover):
        closer = _Closer(app, body)
        closer.moves()
        return status, headers, StreamBody(body) if isinstance(body, Pieces) else body, closer  # type: ignore[return-value]
    slice_of_file = _file_slice(body, response)
    closer = _Closer(app, body)
    return status, headers, slice_of_file or _logged(iter(body)), closer


def _file_slice(body: Any, response: Any) -> FileSlice | None:
    """Return a file of known length, or a piece of one, for ``sendfile``; None for any other body."""
    kind = body.__class__
    if (kind is not FileBody and kind is not file_generator) or not isinstance(body.input, io.BufferedReader):
        return None
    length = response.headers.get("Content-Length")
    if length is None:
        return None
    offset = body.offset if kind is FileBody else body.input.tell()
    return FileSlice(body.input, offset, int(length))


def _logged(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield *pieces*; an error among them is logged by the application before it ends the connection."""
    try:
        yield from pieces
    except Exception:
        log(traceback=True, severity=40)
        raise


def _unrecoverable() -> Answer:
    status, headers, body = log_and_bare_error()
    return status, headers, body, None


class _Closer:
    """Ends a request when its answer is out, whichever thread that happens in."""

    __slots__ = ("app", "body", "state", "thread")

    def __init__(self, app: Application, body: Any) -> None:
        self.app = app
        self.body = body
        self.thread = threading.get_ident()
        self.state = serving.__dict__.copy()

    def moves(self) -> None:
        """The answer goes on elsewhere: this thread forgets the request."""
        self.thread = 0
        serving.clear()

    def __call__(self) -> None:
        if threading.get_ident() != self.thread:
            serving.__dict__.update(self.state)
        try:
            if is_closable_iterator(self.body):
                self.body.close()
        finally:
            self.app.release_serving()
