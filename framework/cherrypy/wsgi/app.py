"""An application as a WSGI callable: environ in, iterable out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cherrypy.conf.epoch import changes
from cherrypy.conf.namespaces import warn_unknown
from cherrypy.core.lazyparts import local_of, remote_of
from cherrypy.core.streams import is_closable_iterator
from cherrypy.wsgi.environ import recode
from cherrypy.wsgi.middleware import ExceptionTrapper, InternalRedirector

#: Key of an environ: the request and response that have begun on the short way (``app.embedded``).
BEGUN = "cherrypy.begun"
#: Key of an environ: a callable that is told which page runs, by its code or its handler's class.
ENTERING = "cherrypy.entering"

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class AppResponse:
    """One request through an application; iterate over it for the body, then ``close`` it.

    Args:
        environ: WSGI environ.
        start_response: of WSGI.
        cpapp: the ``Application``.

    Raises:
        TypeError: the response's status or headers are not bytes.
    """

    headerNames = {
        "HTTP_CGI_AUTHORIZATION": "Authorization",
        "CONTENT_LENGTH": "Content-Length",
        "CONTENT_TYPE": "Content-Type",
        "REMOTE_HOST": "Remote-Host",
        "REMOTE_ADDR": "Remote-Addr",
    }

    def __init__(self, environ: Environ, start_response: StartResponse, cpapp: Any) -> None:
        self.cpapp = cpapp
        try:
            self.environ = environ
            self.run()
            response = self._response
            status, headers = text_head(response.output_status, response.header_list)
            self.iter_response = iter(response.body)
            self.write = start_response(status, headers)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece: bytes = next(self.iter_response)
        return piece

    def close(self) -> None:
        """Close the body if it can be closed, run on_end_request, let the application forget the request."""
        streaming = getattr(self, "iter_response", None)
        body = getattr(getattr(self, "_response", None), "body", None)
        try:
            for iterator in (streaming, body):
                if is_closable_iterator(iterator):
                    iterator.close()  # type: ignore[union-attr]
                    break
        finally:
            self.cpapp.release_serving()

    def run(self) -> None:
        """Make request and response of the environ and run them."""
        environ = self.environ
        get = environ.get
        begun = environ.pop(BEGUN, None)
        request, self._response = begun or self.cpapp.get_serving(
            local_of(environ),
            remote_of(environ),
            get("wsgi.url_scheme", "http"),
            get("ACTUAL_SERVER_PROTOCOL", "HTTP/1.1"),
        )
        request.login = get("LOGON_USER") or get("REMOTE_USER") or None
        request.multithread = environ["wsgi.multithread"]
        request.multiprocess = environ["wsgi.multiprocess"]
        request.wsgi_environ = environ
        if ENTERING in environ:
            request._entering = environ[ENTERING]
        request.script_name = self.cpapp.script_name
        request.prev = get("cherrypy.previous_request", None)
        path = get("SCRIPT_NAME", "").rstrip("/") + get("PATH_INFO", "")
        query = get("QUERY_STRING", "")
        path, query = self.recode_path_qs(path, query) or (path, query)
        request.run(
            environ["REQUEST_METHOD"],
            path,
            query,
            get("SERVER_PROTOCOL", "HTTP/1.0"),
            list(self.translate_headers(environ)),
            environ["wsgi.input"],
        )

    def recode_path_qs(self, path: str, qs: str) -> tuple[str, str] | None:
        """Return path and query decoded by ``request.uri_encoding``; None if they are right as they are."""
        if path.isascii() and qs.isascii():
            return None
        encoding = self.cpapp.find_config(path, "request.uri_encoding", "utf-8")
        return recode(path, qs, self.environ.get("wsgi.url_encoding", "ISO-8859-1"), encoding)

    def translate_headers(self, environ: Environ) -> Iterator[tuple[str, str]]:
        """Yield the headers that CGI-style names in *environ* stand for."""
        return header_fields(environ, self.headerNames)


def header_fields(environ: Environ, names: dict[str, str] = AppResponse.headerNames) -> Iterator[tuple[str, str]]:
    """Yield the headers that CGI-style names in *environ* stand for, *names* without HTTP_ before them included."""
    for key, value in environ.items():
        if key in names:
            yield names[key], value
        elif key.startswith("HTTP_"):
            name = key[5:]
            # SECURITY: a header Remote-Addr, or Content_Length, of the client's must not mix with what the server says
            if name not in names:
                yield name.replace("_", "-"), value


def text_head(status: Any, header_list: Any) -> tuple[str, list[tuple[str, str]]]:
    """Return status and headers as WSGI wants them: latin-1 text.

    Raises:
        TypeError: something is not bytes.
    """
    if not isinstance(status, bytes):
        raise TypeError("response.output_status is not a byte string.")
    headers = []
    for name, value in header_list:
        if not isinstance(name, bytes):
            raise TypeError(f"response.header_list key {name!r} is not a byte string.")
        if not isinstance(value, bytes):
            raise TypeError(f"response.header_list value {value!r} is not a byte string.")
        headers.append((name.decode("ISO-8859-1"), value.decode("ISO-8859-1")))
    return status.decode("ISO-8859-1"), headers


class CPWSGIApp:
    """An application behind a pipeline of WSGI middleware.

    Attributes:
        pipeline: (name, middleware) pairs, outermost first; configuration ``wsgi.pipeline`` extends it.
        head: the assembled pipeline, made at the first request.
        config: {name: arguments} for the middleware, from ``wsgi.NAME.ARGUMENT``.
        response_class: what runs the request at the end of the pipeline.
    """

    pipeline: list[tuple[str, Any]] = [
        ("ExceptionTrapper", ExceptionTrapper),
        ("InternalRedirector", InternalRedirector),
    ]
    head: Any = None
    config: dict[str, dict[str, Any]] = {}
    response_class: Any = AppResponse

    def __init__(self, cpapp: Any, pipeline: list[tuple[str, Any]] | None = None) -> None:
        self.cpapp = cpapp
        self.pipeline = self.pipeline[:]
        if pipeline:
            self.pipeline.extend(pipeline)
        self.config = self.config.copy()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "head":
            changes.bump()

    def tail(self, environ: Environ, start_response: StartResponse) -> Any:
        """Run the application itself: the end of the pipeline."""
        return self.response_class(environ, start_response, self.cpapp)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Any:
        """Serve one request."""
        head = self.head
        if head is None:
            head = self.head = self._assemble()
        return head(environ, start_response)

    def _assemble(self) -> Any:
        names = [name for name, _ in self.pipeline]
        for name, arguments in self.config.items():
            if name not in names:
                warn_unknown("wsgi", f"{name}.{next(iter(arguments))}", [f"{one}." for one in names])
        head: Any = self.tail
        for name, middleware in reversed(self.pipeline):
            arguments = self.config.get(name, {})
            try:
                head = middleware(head, **arguments)
            except TypeError as error:
                keys = ", ".join(f"wsgi.{name}.{argument}" for argument in arguments) or "no keys"
                raise TypeError(f"{middleware!r} cannot be made with {keys}: {error}") from error
        return head

    def namespace_handler(self, k: str, v: Any) -> None:
        """Take a key of the ``wsgi`` namespace.

        Raises:
            ValueError: the value cannot work; the text has the key, what was given and what is allowed.
        """
        if k == "pipeline":
            self.pipeline.extend(_pairs(v))
        elif k == "response_class":
            if not callable(v):
                raise ValueError(f"wsgi.response_class must be a callable (environ, start_response, app); not {v!r}")
            self.response_class = v
        else:
            name, dot, argument = k.partition(".")
            if not dot:
                raise ValueError(f"wsgi.{k} must be wsgi.pipeline, wsgi.response_class or wsgi.NAME.ARGUMENT")
            self.config.setdefault(name, {})[argument] = v
        self.head = None


def _pairs(pipeline: Any) -> list[Any]:
    given = list(pipeline) if isinstance(pipeline, Iterable) and not isinstance(pipeline, str) else [None]
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 and callable(pair[1]) for pair in given):
        raise ValueError(f"wsgi.pipeline must be a list of (name, middleware) pairs; not {pipeline!r}")
    return given
