"""Files that are left to the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest

import cherrypy
from cherrypy.app.application import Application
from cherrypy.lib.static import serve_file

GUNICORN = {"SERVER_SOFTWARE": "gunicorn/27.0.1"}


class Root:
    """One file in several ways."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.ended = 0

    def end(self) -> None:
        """Count the requests that ended."""
        self.ended += 1

    @cherrypy.expose
    def file(self) -> Any:
        """All of it."""
        cherrypy.request.hooks.attach("on_end_request", self.end)
        return serve_file(self.path)

    @cherrypy.expose
    def grown(self) -> Any:
        """A file that has become longer than what was said of it."""
        body = serve_file(self.path)
        Path(self.path).write_bytes(b"x" * 5000)
        return body

    @cherrypy.expose
    def text(self) -> str:
        """No file."""
        return "text"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Pages about a file of 3,000 octets."""
    path = tmp_path / "blob.bin"
    path.write_bytes(b"abc" * 1000)
    return Root(path)


def ask(root: Root, path: str, **fields: Any) -> Any:
    """What the application answers under a server with a file wrapper."""
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.file_wrapper": FileWrapper,
        **fields,
    }
    setup_testing_defaults(environ)
    return Application(root)(environ, lambda status, headers, exc_info=None: None)


@pytest.mark.parametrize("server", [GUNICORN, {"uwsgi.version": b"2.0.30"}], ids=["gunicorn", "uWSGI"])
def test_a_whole_file_is_the_servers(root: Root, server: dict[str, Any]) -> None:
    """It gets its own wrapper around something with a descriptor; closing that ends the request, once."""
    answer = ask(root, "/file", **server)
    descriptor = answer.filelike.fileno()
    content = b"".join(answer)
    ended_before = root.ended
    answer.close()
    answer.close()

    assert isinstance(answer, FileWrapper)
    assert descriptor > 2
    assert content == b"abc" * 1000
    assert (ended_before, root.ended) == (0, 1)


@pytest.mark.parametrize(
    ("path", "fields", "expected"),
    [
        ("/file", {"HTTP_RANGE": "bytes=0-99", "SERVER_PROTOCOL": "HTTP/1.1", **GUNICORN}, 100),
        ("/file", {"SERVER_SOFTWARE": "waitress"}, 3000),
        ("/file", {"REQUEST_METHOD": "HEAD", **GUNICORN}, 0),
        ("/grown", GUNICORN, 3000),
        ("/text", GUNICORN, 4),
    ],
    ids=["a part", "a server that sends later", "HEAD", "a file that has changed", "no file"],
)
def test_everything_else_is_read_here(root: Root, path: str, fields: dict[str, Any], expected: int) -> None:
    """Where servers would send something else, or end the request elsewhere."""
    answer = ask(root, path, **fields)
    size = len(b"".join(answer))
    if hasattr(answer, "close"):
        answer.close()

    assert not isinstance(answer, FileWrapper)
    assert size == expected
