"""Asking an application in this process, without a socket."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

import cherrypy


@dataclass
class Answer:
    """What an application answered."""

    status: int
    headers: dict[str, str]
    header_list: list[tuple[str, str]]
    body: bytes
    body_object: Any = field(repr=False, default=None)

    @property
    def cookies(self) -> list[str]:
        """The Set-Cookie headers."""
        return [value for name, value in self.header_list if name == "Set-Cookie"]


Ask = Callable[..., Answer]


class Browser:
    """Asks one application, and sends back the cookies it was given."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}

    def __call__(
        self,
        path: str = "/",
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        read: bool = True,
    ) -> Answer:
        """Send one request; *body* is sent as a form unless a Content-Type says otherwise."""
        environ = self._environ(path, method, headers or {}, body)
        started: list[Any] = []
        chunks = self.app(environ, lambda status, heads, exc_info=None: started.append((status, heads)))
        try:
            content = b"".join(chunks) if read else b""
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, header_list = started[-1]
        for name, value in header_list:
            if name == "Set-Cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0].strip('"')
        return Answer(int(status.split()[0]), dict(header_list), header_list, content)

    def _environ(self, path: str, method: str, headers: dict[str, str], body: bytes | None) -> dict[str, Any]:
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            # the server leaves %2F alone
            "PATH_INFO": "%2F".join(unquote_to_bytes(part).decode("latin-1") for part in path.split("%2F")),
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "1111",
            "HTTP_HOST": "localhost",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body or b""),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if body is not None:
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        if self.cookies and "HTTP_COOKIE" not in environ:
            environ["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if environ.get("CONTENT_LENGTH") == "":
            del environ["CONTENT_LENGTH"]
        return environ


@pytest.fixture
def serve() -> Iterator[Callable[..., Browser]]:
    """Return ``serve(root, config)``, which makes a browser of an application of *root*."""
    before = dict(cherrypy.config)
    cherrypy.config.update({"environment": "test_suite"})

    def build(root: Any, config: dict[str, Any] | None = None, **tools: Any) -> Browser:
        section = {f"tools.{name.replace('__', '.')}": value for name, value in tools.items()}
        return Browser(cherrypy.Application(root, "", {"/": {**section, **(config or {})}}))

    yield build
    cherrypy.config.clear()
    cherrypy.config.update(before)
    cherrypy.serving.clear()
