"""Calling WSGI applications as a server does."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

Answer = tuple[str, dict[str, str], bytes]


def call_wsgi(app: Any, path: str = "/", body: bytes = b"", **environ: Any) -> Answer:
    """Ask a WSGI application; returns status, headers and body."""
    full: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "wsgi.input": io.BytesIO(body)}
    if body:
        full["CONTENT_LENGTH"] = str(len(body))
    full["SERVER_PROTOCOL"] = "HTTP/1.1"
    full.update(environ)
    setup_testing_defaults(full)
    for name in [name for name, value in full.items() if value is None]:
        del full[name]
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started.append((status, dict(headers)))
        return lambda data: None

    pieces = app(full, start_response)
    try:
        content = b"".join(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    return (*started[-1], content)


@pytest.fixture
def ask() -> Callable[..., Answer]:
    """Give ``call_wsgi``."""
    return call_wsgi
