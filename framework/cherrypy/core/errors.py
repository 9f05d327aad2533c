"""What a handler, tool or hook raises to end a request early.

    Exception
      CherryPyException
        HTTPError(status, message)          4xx or 5xx: an error page
          NotFound(path)                    404
          MalformedAddress(address, why)    400, of a redirect
        HTTPRedirect(urls, status)          3xx: a Location
        InternalRedirect(path, qs)          run another page instead, unseen by the client

All of them may also be *called*, which raises them: an instance can stand where a page handler is expected.
"""

from __future__ import annotations

import contextlib
import html
import io
import urllib.parse
from collections.abc import Iterator
from typing import Any, Never

from cherrypy.context import serving
from cherrypy.core.errorpage import _be_ie_unfriendly, clean_headers, format_exc, get_error_page
from cherrypy.core.urls import url
from cherrypy.http.status import valid_status

# All that is visible in ASCII: a redirect may be percent-encoded already.
_KEPT = "".join(map(chr, range(0x21, 0x7F)))


def as_uri(url: str) -> str:
    """Return *url* with everything percent-encoded, as UTF-8, that no URI may contain: blanks, controls, other scripts.

    RFC: 9110, 10.2.2: a Location is a URI reference. In a header, "/ж" would become an RFC 2047 word.

    >>> as_uri('/a b/ж?q=%20')
    '/a%20b/%D0%B6?q=%20'
    """
    return urllib.parse.quote(url, safe=_KEPT, errors="surrogatepass")


class CherryPyException(Exception):
    """The root of the framework's own errors."""


class InternalRedirect(CherryPyException):
    """Run the page at *path* of the same application server instead; the client does not notice.

    The new request is a GET without a body. *path* is joined to the current ``path_info``; a ``?`` in it begins
    the query string.

    Raises:
        MalformedAddress: *path* is none.
    """

    def __init__(self, path: str, query_string: str = "") -> None:
        self.request = serving.request
        self.query_string = query_string
        if "?" in path:
            path, self.query_string = path.split("?", 1)
        path = _join(self.request.path_info, path)
        self.path = path
        super().__init__(path, self.query_string)


# Sentence before the links, by status. 303 answers a request whose result is elsewhere.
_REDIRECT_TEXT = {
    300: "This resource is to be had at any of ",
    301: "This resource now lives at ",
    302: "This resource is, for the moment, at ",
    303: "This resource continues at ",
    307: "This resource is, for this once, at ",
    308: "This resource is, now and later, at ",
}
_ENTITY_HEADERS = (
    "Allow",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "Expires",
    "Last-Modified",
)


class HTTPRedirect(CherryPyException):
    """Answer with a redirect to one or several *urls* (absolute, or relative to the current URL).

    Raises:
        ValueError: *status* is not between 300 and 399.
        MalformedAddress: one of *urls* is no address (``http://[::1``).

    >>> raise HTTPRedirect('/login')                    # 303 (302 to an HTTP/1.0 client)
    >>> raise HTTPRedirect(['/a', '/b'], 300)
    """

    urls: list[str] = []
    encoding = "utf-8"

    def __init__(self, urls: str | list[str] | tuple[str, ...], status: int | None = None, encoding: str | None = None):
        given = [urls] if isinstance(urls, str | bytes) else urls
        encoding = encoding or self.encoding
        here = url()
        self.urls = [_join(here, one if isinstance(one, str) else one.decode(encoding)) for one in given]
        self._status = None if status is None else int(status)
        if self._status is not None and not 300 <= self._status <= 399:
            raise ValueError(f"status must be between 300 and 399, not {status!r}")
        super().__init__(self.urls, self.status)

    @property
    def default_status(self) -> int:
        """303 for HTTP/1.1, 302 for older clients."""
        return 303 if serving.request.protocol >= (1, 1) else 302

    @property
    def status(self) -> int:
        """The status to send: the given one, or the default for the client's protocol."""
        return self._status or self.default_status

    def set_response(self) -> None:
        """Turn the current response into this redirect.

        Raises:
            ValueError: no answer is defined for the status.
        """
        response = serving.response
        response.status = status = self.status
        if status in _REDIRECT_TEXT:
            self._set_location(response, status)
        elif status == 304:
            # RFC 9110, 15.4.5: metadata of the representation stays with the client's stored copy
            for name in _ENTITY_HEADERS:
                response.headers.pop(name, None)
            response.body = None
            response.headers.pop("Content-Length", None)
        elif status == 305:
            response.headers["Location"] = as_uri(self.urls[0])
            response.body = None
            response.headers.pop("Content-Length", None)
        else:
            raise ValueError(f"no redirect is defined for status {status!r}")

    def _set_location(self, response: Any, status: int) -> None:
        response.headers["Content-Type"] = "text/html;charset=utf-8"
        response.headers["Location"] = as_uri(self.urls[0])
        links = [f'<a href="{html.escape(one, quote=True)}">{html.escape(one, quote=False)}</a>' for one in self.urls]
        response.body = (_REDIRECT_TEXT[status] + "<br />\n".join(links) + ".").encode("utf-8")
        # the length of the page that was going to be sent
        response.headers.pop("Content-Length", None)

    def __call__(self) -> Never:
        """Raise this very object."""
        raise self


class HTTPError(CherryPyException):
    """Answer with an error page.

    *status* is a code (404) or a code with a reason ('404 No such book'); *message* a sentence for the page.
    Afterwards ``code`` is the number, ``reason`` the words, ``status`` what was given.

    Raises:
        ValueError: the code is not between 400 and 599.
    """

    status: int | str | None = None
    code: int | None = None
    reason: str | None = None

    def __init__(self, status: int | str = 500, message: str | None = None) -> None:
        self.status = status
        try:
            self.code, self.reason, default = valid_status(status)
        except ValueError as error:
            raise self.__class__(500, str(error)) from error
        if not 400 <= self.code <= 599:
            raise ValueError(f"status must be between 400 and 599, not {self.code!r}")
        self._message = message or default
        super().__init__(status, message)

    def set_response(self) -> None:
        """Turn the current response into this error: headers cleaned, page rendered."""
        response = serving.response
        assert_code = self.code if self.code is not None else 500
        clean_headers(assert_code)
        response.status = self.status
        traceback = format_exc() if serving.request.show_tracebacks else None
        response.headers.pop("Content-Length", None)
        response.body = self.get_error_page(self.status, traceback=traceback, message=self._message)
        _be_ie_unfriendly(assert_code)

    def get_error_page(self, *args: Any, **kwargs: Any) -> bytes | io.IOBase | Any:
        """Render the page; override it for errors with a page of their own."""
        return get_error_page(*args, **kwargs)

    def __call__(self) -> Never:
        """Raise this very object."""
        raise self

    @classmethod
    @contextlib.contextmanager
    def handle(
        cls, exception: type[Exception] | tuple[type[Exception], ...], status: int | str = 500, message: str = ""
    ) -> Iterator[None]:
        """Turn *exception* inside the ``with`` block into this error; its text is the default message."""
        try:
            yield
        except exception as error:
            raise cls(status, message or str(error)) from error


class NotFound(HTTPError):
    """404: nothing is at *path* (default: the URL's path as the client sees it)."""

    def __init__(self, path: str | None = None) -> None:
        if path is None:
            request = serving.request
            path = request.script_name + request.path_info
        self.args = (path,)
        HTTPError.__init__(self, 404, f"The path '{path}' was not found.")


class MalformedAddress(HTTPError, ValueError):
    """400: a redirect was to lead to *address*, which is none; pages pass on what clients have sent.

    COMPAT: a ValueError, for pages that catch it around such a redirect.
    """

    def __init__(self, address: str, why: str) -> None:
        super().__init__(400, f"The address to go to, {address[:200]!r}, is malformed: {why}.")


def _join(here: str, address: str) -> str:
    """Join *address* to the one of this page.

    Raises:
        MalformedAddress: it cannot be taken apart.
    """
    try:
        return urllib.parse.urljoin(here, address)
    except ValueError as error:
        raise MalformedAddress(address, str(error)) from error
