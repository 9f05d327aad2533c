"""The pieces that stand around an application: they catch its errors, follow its redirects, choose by host."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errorpage import bare_error, format_exc
from cherrypy.core.errors import InternalRedirect
from cherrypy.core.logs import log
from cherrypy.http.forwarded import named_hosts

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Any]


class VirtualHost:
    """Choose a WSGI application by the request's host.

    Attributes:
        default: for hosts that are not listed.
        domains: {host: application}.
        use_x_forwarded_host: prefer X-Forwarded-Host to Host.
    """

    default: Any = None
    use_x_forwarded_host = True
    domains: Mapping[str, WSGIApp] = {}

    def __init__(
        self, default: WSGIApp, domains: Mapping[str, WSGIApp] | None = None, use_x_forwarded_host: bool = True
    ) -> None:
        self.default = default
        self.domains = domains or {}
        self.use_x_forwarded_host = use_x_forwarded_host

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        """Serve one request by the application of its host."""
        domain = environ.get("HTTP_HOST", "")
        if self.use_x_forwarded_host:
            domain = environ.get("HTTP_X_FORWARDED_HOST", domain)
        app = self.domains.get(domain)
        if app is None and self.domains:
            by_name = {name.lower(): app for name, app in self.domains.items()}
            app = next((by_name[name] for name in named_hosts(domain) if name in by_name), None)
        return (self.default if app is None else app)(environ, start_response)


def note_redirect(visited: list[str], here: str, there: str, is_recursive: bool) -> None:
    """Note that the URL *here* redirected internally to *there*.

    Raises:
        RuntimeError: *there* has redirected before, and recursion is not allowed.
    """
    visited.append(here)
    if not is_recursive and there in visited:
        raise RuntimeError(f"InternalRedirector visited the same URL twice: {there!r}")


def with_query(path: str, query: str) -> str:
    """Return *path* with its query, if there is one."""
    return f"{path}?{query}" if query else path


class InternalRedirector:
    """Run another request of the same application when it raises InternalRedirect.

    Attributes:
        recursive: let a chain of redirects come back to a URL it has been at.
    """

    def __init__(self, nextapp: WSGIApp, recursive: bool = False) -> None:
        self.nextapp = nextapp
        self.recursive = recursive

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        """Serve one request, and those it redirects to."""
        visited: list[str] = []
        while True:
            environ = environ.copy()
            try:
                return self.nextapp(environ, start_response)
            except InternalRedirect as redirect:
                script_name = environ.get("SCRIPT_NAME", "")
                here = with_query(script_name + environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", ""))
                there = with_query(script_name + redirect.path, redirect.query_string)
                redirect.request.close()
                note_redirect(visited, here, there, self.recursive)
                # The new request is a GET without a body.
                environ["cherrypy.previous_request"] = redirect.request
                environ["REQUEST_METHOD"] = "GET"
                environ["PATH_INFO"] = redirect.path
                environ["QUERY_STRING"] = redirect.query_string
                environ["wsgi.input"] = io.BytesIO()
                environ["CONTENT_LENGTH"] = "0"


class ExceptionTrapper:
    """Turn any exception of an application into a bare 500.

    Attributes:
        throws: classes that are let through.
    """

    def __init__(
        self, nextapp: WSGIApp, throws: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit)
    ) -> None:
        self.nextapp = nextapp
        self.throws = throws

    def __call__(self, environ: Environ, start_response: StartResponse) -> _TrappedResponse:
        """Serve one request."""
        return _TrappedResponse(self.nextapp, environ, start_response, self.throws)


def log_and_bare_error() -> tuple[bytes, list[tuple[bytes, bytes]], list[bytes]]:
    """Log the exception being handled; return the answer of the last resort, with traceback if it may be shown."""
    text = format_exc()
    log(text, severity=40)
    return bare_error(text if serving.request.show_tracebacks else "")


class _TrappedResponse:
    """An iterable whose every step is under guard."""

    def __init__(
        self, nextapp: WSGIApp, environ: Environ, start_response: StartResponse, throws: tuple[type[BaseException], ...]
    ) -> None:
        self.nextapp = nextapp
        self.environ = environ
        self.start_response = start_response
        self.throws = throws
        self.started_response = False
        self.response: Any = self.trap(nextapp, environ, start_response)
        self.iter_response: Iterator[bytes] = iter(self.response)

    def __iter__(self) -> Iterator[bytes]:
        self.started_response = True
        return self

    def __next__(self) -> bytes:
        piece: bytes = self.trap(next, self.iter_response)
        return piece

    def close(self) -> None:
        """Close the response inside."""
        if hasattr(self.response, "close"):
            self.response.close()

    def trap(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call *func*; an exception becomes a bare error, or the end of a body that has begun."""
        try:
            return func(*args, **kwargs)
        except self.throws:
            raise
        except StopIteration:
            raise
        except Exception:
            status, headers, body = log_and_bare_error()
            if self.started_response:
                # empty: the response has begun, and an error page must not stand inside it
                self.iter_response = iter([])
            else:
                self.iter_response = iter(body)
            try:
                self.start_response(
                    status.decode("ISO-8859-1"),
                    [(name.decode("ISO-8859-1"), value.decode("ISO-8859-1")) for name, value in headers],
                    sys.exc_info(),
                )
            except Exception:
                # the head has left: WSGI lets the server raise the exception that it was given
                log(traceback=True, severity=40)
                raise
            if self.started_response:
                return b"".join(body)
            return body
