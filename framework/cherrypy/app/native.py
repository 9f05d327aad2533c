"""From the native server's message straight into ``Request.run``: no WSGI in between.

Foreign WSGI callables, and applications with a pipeline of their own, are served through ``httpd.gateway``.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from cherrypy.app import plainpage
from cherrypy.app.application import Application
from cherrypy.app.tree import Tree
from cherrypy.app.wsgi_server import gateway_for
from cherrypy.context import serving
from cherrypy.core.errors import InternalRedirect
from cherrypy.core.host import Host
from cherrypy.core.logs import log
from cherrypy.core.rawheaders import RawHeaders
from cherrypy.core.streams import file_generator, is_closable_iterator
from cherrypy.http.forwarded import Trust
from cherrypy.httpd.gateway import WSGIGateway, decode_path
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.writer import FileSlice
from cherrypy.lib.filebody import FileBody
from cherrypy.wsgi.app import AppResponse, CPWSGIApp, text_head
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
        self._trust: tuple[Any, Trust | None] = (None, None)
        self._gateway: tuple[Any, WSGIGateway | None] = (None, None)

    def __call__(self, message: Message) -> Answer:
        """Answer one message."""
        tree = self.site.tree
        if tree.__class__ is not Tree:
            # the site's tree stands behind middleware
            return self._by_wsgi(tree, message)
        path = message.path
        if "%" in path:
            path = decode_path(path)
        apps = tree.apps
        if len(apps) == 1 and "" in apps:
            script_name = ""
        else:
            found = tree.script_name(path)
            if found is None:
                return _NOT_FOUND
            script_name = found
        app = apps[script_name]
        if not _is_plain(app):
            return self._by_wsgi(tree, message)
        return self._serve(app, message, path)

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
        environ["PATH_INFO"] = environ["PATH_INFO"][len(script_name) :]
        environ["SCRIPT_NAME"] = script_name
        return environ

    def _serve(self, app: Application, message: Message, path: str) -> Answer:
        """Run the request, and those it redirects to internally."""
        method, query, rfile = message.method, message.query, message.body
        if not (path.isascii() and query.isascii()):
            encoding = app.find_config(path, "request.uri_encoding", "utf-8")
            path, query = recode(path, query, "ISO-8859-1", encoding) or (path, query)
        previous: Any = None
        visited: list[str] = []
        while True:
            request, response = self._get_serving(app, message)
            if previous is not None:
                request.prev = previous
            try:
                is_plain = method == "GET" and previous is None and not message.has_body
                if is_plain and plainpage.serve(app, message, path, query, request, response):
                    app.release_serving()
                    return response.output_status, response.header_list, response._body, None
                request.run(method, path, query, _PROTOCOLS[message.version], request._source, rfile)
                return _answer(app, request, response)
            except InternalRedirect as redirect:
                app.release_serving()
                previous = redirect.request
                there_path = app.script_name + redirect.path
                there = with_query(there_path, redirect.query_string)
                try:
                    note_redirect(visited, with_query(path, query), there, False)
                except RuntimeError:
                    return _unrecoverable()
                method, path, query, rfile = "GET", there_path, redirect.query_string, io.BytesIO()  # type: ignore[assignment]
            except (KeyboardInterrupt, SystemExit):
                app.release_serving()
                raise
            except Exception:
                answer = _unrecoverable()
                app.release_serving()
                return answer

    def _get_serving(self, app: Application, message: Message) -> tuple[Any, Any]:
        connection = message.connection
        request, response = app.get_serving(None, None, connection.scheme, "HTTP/1.1")
        request._source = RawHeaders(message.headers, connection.peer[0])
        request._message = message
        request._make_environ = self._environ
        trusted = self.site.server.trusted_proxies
        if trusted:
            self._believe(trusted, request, connection.peer)
        return request, response

    def _believe(self, trusted: Iterable[str], request: Any, peer: tuple[str, int]) -> None:
        """Take scheme, host and address of the client from what trusted proxies say, before dispatch."""
        headers = request.headers
        origin = self._trust_in(trusted).resolve(peer[0] or "unix:", headers)
        if origin is None:
            return
        if origin.remote:
            request.remote = Host(origin.remote, peer[1])
            headers["Remote-Addr"] = origin.remote
        if origin.scheme:
            request.scheme = origin.scheme
        if origin.host:
            request.base = f"{request.scheme}://{origin.host}"

    def _trust_in(self, networks: Iterable[str]) -> Trust:
        key = tuple(networks)
        known, trust = self._trust
        if trust is None or known != key:
            trust = Trust(key)
            self._trust = (key, trust)
        return trust


def _is_plain(app: Any) -> bool:
    """True for an application that nothing stands around."""
    if app.__class__ is not Application and (
        not isinstance(app, Application) or type(app).__call__ is not Application.__call__
    ):
        return False
    wsgiapp = app.wsgiapp
    return (
        wsgiapp.__class__ is CPWSGIApp
        and wsgiapp.pipeline == CPWSGIApp.pipeline
        and wsgiapp.response_class is AppResponse
        and not wsgiapp.config
        and app._script_name is not None
    )


def _answer(app: Application, request: Any, response: Any) -> Answer:
    """Return the finished response as an answer; the request is released with it, at the latest by ``close``."""
    status, headers, body = response.output_status, response.header_list, response.body
    points = request._plan.points
    has_last_hooks = request._hooks is not None or "on_end_request" in points
    if has_last_hooks or "on_end_resource" in points:
        # hooks after finalize may have put anything there
        text_head(status, headers)
    if body.__class__ is list and not has_last_hooks:
        app.release_serving()
        return status, headers, body, None
    if body.__class__ is list or body.__class__ is tuple:
        return status, headers, body, _Closer(app, None)
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

    def __call__(self) -> None:
        if threading.get_ident() != self.thread:
            serving.__dict__.update(self.state)
        try:
            if is_closable_iterator(self.body):
                self.body.close()
        finally:
            self.app.release_serving()
