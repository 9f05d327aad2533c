"""The HTML of an error, from the built-in template or the application's own page."""

from __future__ import annotations

import html
import io
import sys
import traceback as tracebacks
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from cherrypy.context import serving
from cherrypy.core.version import VERSION
from cherrypy.http.status import valid_status

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

# COMPAT: assertErrorPage of the test helper renders this with an empty traceback and expects to find the live page
# equal up to the text inside <pre id="traceback">.
_HTTPErrorTemplate = """<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <title>%(status)s</title>
    <style>
    body { margin: 4em auto; max-width: 60em; padding: 0 1em; font: 1em/1.5 sans-serif; color: #222; }
    h1 { font-size: 1.6em; border-bottom: 3px solid #a00032; }
    #traceback { overflow-x: auto; color: #a00032; }
    #powered_by { margin-top: 3em; font-size: .8em; color: #666; }
    </style>
</head>
<body>
    <h1>%(status)s</h1>
    <p>%(message)s</p>
    <pre id="traceback">%(traceback)s</pre>
    <div id="powered_by">CherryPy %(version)s</div>
</body>
</html>
"""

# Headers that described the page which is now replaced by an error.
_STALE_HEADERS = (
    "Accept-Ranges",
    "Age",
    "ETag",
    "Location",
    "Retry-After",
    "Vary",
    "Content-Encoding",
    "Content-Length",
    "Expires",
    "Content-Location",
    "Content-MD5",
    "Last-Modified",
)

# Some browsers replace a page that is not longer than this with one of their own.
_ie_friendly_error_sizes = {
    400: 512, 403: 256, 404: 512, 405: 256, 406: 512, 408: 512,
    409: 512, 410: 256, 500: 512, 501: 512, 505: 512,
}  # fmt: skip


def get_error_page(status: int | str, **kwargs: Any) -> Any:
    """Render the error page for *status*: bytes, or an iterator of them from an application's own page.

    Keywords: status, message, traceback, version; what is missing or None gets a default, everything is escaped.

    Raises:
        HTTPError: 500 if *status* is none.
    """
    code, reason, default_message = valid_status(status)
    kwargs.setdefault("status", f"{code} {reason}")
    for key, default in (("message", default_message), ("traceback", ""), ("version", VERSION)):
        if kwargs.get(key) is None:
            kwargs[key] = default
    kwargs = {key: "" if value is None else html.escape(str(value), quote=False) for key, value in kwargs.items()}
    pages = serving.request.error_page
    page = pages.get(code) or pages.get("default")
    if page:
        try:
            return _custom_page(page, kwargs)
        except Exception:
            # A broken page must not hide the error that it was to describe.
            kwargs["message"] += _failure_note(kwargs["message"])
    serving.response.headers["Content-Type"] = "text/html;charset=utf-8"
    return (_HTTPErrorTemplate % kwargs).encode("utf-8")


def _custom_page(page: Any, kwargs: dict[str, str]) -> Any:
    """Render the application's own page: a callable, or the name of a file with ``%(name)s`` places."""
    if not callable(page):
        serving.response.headers["Content-Type"] = "text/html;charset=utf-8"
        with open(page, encoding="utf-8", newline="") as template:
            return (template.read() % kwargs).encode("utf-8")
    result = page(**kwargs)
    if isinstance(result, str):
        return result.encode("utf-8")
    if isinstance(result, bytes | io.IOBase):
        return result
    if isinstance(result, Iterator) or hasattr(result, "__next__"):
        return _in_utf_8(result)
    raise ValueError(f"an error page must return str, bytes or an iterator, not {type(result).__name__}")


def _in_utf_8(pieces: Iterator[Any]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece.encode("utf-8") if isinstance(piece, str) else piece


def _failure_note(message: str) -> str:
    error = tracebacks.format_exception_only(*sys.exc_info()[:2])[-1]
    first = "<br />" if message else ""
    return f"{first}In addition, the custom error page failed:\n<br />{html.escape(error, quote=False)}"


def clean_headers(status: int) -> None:
    """Drop the response headers that belonged to the page which *status* now replaces."""
    headers = serving.response.headers
    for name in _STALE_HEADERS:
        headers.pop(name, None)
    if status != 416:
        # RFC 9110, 15.5.17: only "range not satisfiable" says which ranges there are
        headers.pop("Content-Range", None)


def _be_ie_unfriendly(status: int) -> None:
    """Pad a short error page with spaces, so that no browser puts its own in place of it."""
    size = _ie_friendly_error_sizes.get(status, 0)
    if not size:
        return
    response = serving.response
    content = response.collapse_body()
    if content and len(content) <= size:
        content += b" " * (size + 1 - len(content))
    response.body = content
    response.headers["Content-Length"] = str(len(content))


def format_exc(exc: ExcInfo | None = None) -> str:
    """Return the traceback of *exc* (default: of the exception being handled) as text, '' if there is none."""
    exc = exc or sys.exc_info()
    if exc == (None, None, None):
        return ""
    return "".join(tracebacks.format_exception(*exc))


def bare_error(extrabody: str | bytes | None = None) -> tuple[bytes, list[tuple[bytes, bytes]], list[bytes]]:
    """Return status, headers and body of the last resort: the answer when answering with an error has failed."""
    body = b"Unrecoverable error in the server."
    if extrabody is not None:
        body += b"\n" + (extrabody if isinstance(extrabody, bytes) else extrabody.encode("utf-8"))
    headers = [(b"Content-Type", b"text/plain"), (b"Content-Length", str(len(body)).encode("ascii"))]
    return b"500 Internal Server Error", headers, [body]
