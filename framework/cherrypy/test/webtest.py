"""A ``unittest.TestCase`` that asks a server for pages and checks what came.

class Test(WebCase):
    def test_it(self):
        self.getPage("/")
        self.assertStatus(200)
        self.assertHeader("Content-Type", "text/html;charset=utf-8")
        self.assertInBody("hello")
"""

from __future__ import annotations

import os
import re
import sys
import time
import traceback
import unittest
import urllib.parse
from collections.abc import Iterable, Sequence
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, NoReturn

Headers = list[tuple[str, str]]
Answer = tuple[str, Headers, bytes]

CLIENT_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}
CONNECTIONS = {"http": HTTPConnection, "https": HTTPSConnection}

methods_with_bodies = ("POST", "PUT", "PATCH")
TRIALS = 10
PAUSE_S = 0.5

ignore_all = False
ignored_exceptions: list[type[BaseException]] = []


def interface(host: str) -> str:
    """The address at which a client of this machine reaches a server bound to *host*."""
    return CLIENT_ADDRESSES.get(host, host)


class ServerError(Exception):
    """The server under test, in this process, failed with an exception that ``server_error`` was told of."""

    on = False


def server_error(exc: Any = None) -> bool:
    """Tell the running test of the exception *exc* (``sys.exc_info()``); False if such ones are ignored."""
    kind, error, trace = sys.exc_info() if exc is None else exc
    if ignore_all or kind in ignored_exceptions:
        return False
    ServerError.on = True
    sys.stderr.write("".join(traceback.format_exception(kind, error, trace)))
    return True


class WebCase(unittest.TestCase):
    """A test case with a client.

    Attributes:
        HOST, PORT, PROTOCOL, scheme: where and how to ask.
        HTTP_CONN: class of the connections, or the one connection if ``persistent``.
        url, status, headers, body, time, cookies: of the last page; ``body`` is bytes, ``time`` seconds.
        encoding: of text that bodies are compared with.
        interactive: a failed check asks at the terminal what to do; by the environment variable WEBTEST_INTERACTIVE.
    """

    HOST = "127.0.0.1"
    PORT = 8000
    HTTP_CONN: Any = HTTPConnection
    PROTOCOL = "HTTP/1.1"
    scheme = "http"
    url: str | None = None
    ssl_context: Any = None

    status: str | None = None
    headers: Any = None
    body: Any = None
    time: float | None = None
    cookies: Headers

    encoding = "utf-8"
    console_height = 30

    @property
    def interactive(self) -> bool:
        """True when somebody who sits at a terminal has asked for it."""
        wanted = os.environ.get("WEBTEST_INTERACTIVE", "").lower() in ("1", "true", "yes", "on")
        return wanted and sys.stdin is not None and sys.stdin.isatty()

    # Asking

    @property
    def _Conn(self) -> Any:  # the name subclasses override
        return CONNECTIONS[self.scheme]

    def get_conn(self, auto_open: bool = False) -> Any:
        """An open connection to the server."""
        options = {"context": self.ssl_context} if self.scheme == "https" else {}
        connection = self._Conn(self.interface(), self.PORT, **options)
        connection.auto_open = auto_open
        connection.connect()
        return connection

    def set_persistent(self, on: bool = True, auto_open: bool = False) -> None:
        """Ask for all further pages on one connection, or each on its own."""
        if self.persistent:
            self.HTTP_CONN.close()
        self.HTTP_CONN = self.get_conn(auto_open=auto_open) if on else self._Conn

    @property
    def persistent(self) -> bool:
        """True when pages are asked for on one connection; assignable."""
        return not isinstance(self.HTTP_CONN, type)

    @persistent.setter
    def persistent(self, on: bool) -> None:
        self.set_persistent(on)

    def interface(self) -> str:
        """The address to connect to."""
        return interface(self.HOST)

    def getPage(
        self,
        url: str | bytes,
        headers: Iterable[tuple[str, str]] | None = None,
        method: str = "GET",
        body: str | bytes | None = None,
        protocol: str | None = None,
        raise_subcls: Any = (),
    ) -> Answer:
        """Ask for *url*; returns (status, headers, body), and keeps them in attributes of those names.

        Args:
            url: path and query; of an absolute one only these are sent.
            headers: (name, value) pairs besides Host, and for a body its type and length.
            method: of the request.
            body: text goes as UTF-8.
            protocol: instead of ``PROTOCOL``.
            raise_subcls: exceptions that are raised at once, not after ten trials.
        """
        ServerError.on = False
        self.url = url.decode("latin-1") if isinstance(url, bytes) else url
        self.time = None
        begun = time.time()
        self.status, self.headers, self.body = openURL(
            self.url,
            headers,
            method,
            body.encode("utf-8") if isinstance(body, str) else body,
            self.HOST,
            self.PORT,
            self.HTTP_CONN,
            protocol or self.PROTOCOL,
            raise_subcls=raise_subcls,
            ssl_context=self.ssl_context,
        )
        self.time = time.time() - begun
        # What was set is sent back by passing ``self.cookies`` as headers.
        self.cookies = [("Cookie", value) for name, value in self.headers if name.lower() == "set-cookie"]
        if ServerError.on:
            raise ServerError
        return self.status, self.headers, self.body

    @property
    def status_code(self) -> int:
        """The number in ``status``."""
        return int((self.status or "0")[:3])

    # Checking

    def _handlewebError(self, msg: str) -> None:
        sys.stdout.write(f"\n    ERROR: {msg}\n")
        if not self.interactive:
            raise self.failureException(msg)
        self._ask(msg)

    def _ask(self, msg: str) -> None:
        """Show what the person at the terminal wants to see, until they go on."""
        shown = {"b": "body", "h": "headers", "s": "status", "u": "url"}
        while True:
            answer = input("    Show [B]ody [H]eaders [S]tatus [U]rl; [I]gnore, [R]aise, or e[X]it? ").strip().lower()
            if answer in shown:
                sys.stdout.write(f"{getattr(self, shown[answer])}\n")
            elif answer == "i":
                return
            elif answer == "r":
                raise self.failureException(msg)
            elif answer == "x":
                self.exit()

    def exit(self) -> NoReturn:
        """Leave the test run."""
        sys.exit()

    def status_matches(self, expected: Any) -> bool:
        """True when the status is *expected*: a number, a whole line, or one of several of these."""
        if isinstance(expected, bool | float):
            return False
        if isinstance(expected, int):
            return self.status_code == expected
        if isinstance(expected, str):
            return self.status == expected
        return any(self.status_matches(one) for one in expected)

    def assertStatus(self, status: Any, msg: str | None = None) -> None:
        """Fail unless the status is *status*: a number, a whole line, or one of several of these."""
        if not self.status_matches(status):
            self._handlewebError(msg or f"Status {self.status} does not match {status}")

    def _values(self, key: str) -> list[str]:
        return [value for name, value in self.headers if name.lower() == key.lower()]

    def assertHeader(self, key: str, value: Any = None, msg: str | None = None) -> str | None:
        """Fail unless the header *key* is there, with *value* if one is given; returns its value."""
        for found in self._values(key):
            if value is None or str(value) == found:
                return found
        self._handlewebError(msg or (f"{key!r} not in headers" if value is None else f"{key}:{value} not in headers"))
        return None

    def assertHeaderIn(self, key: str, values: Iterable[Any], msg: str | None = None) -> str | None:
        """Fail unless the header *key* has one of *values*; returns it."""
        wanted = [str(value) for value in values]
        for found in self._values(key):
            if found in wanted:
                return found
        self._handlewebError(msg or f"{key!r} not in {wanted!r}")
        return None

    def assertHeaderItemValue(self, key: str, value: str, msg: str | None = None) -> bool | None:
        """Fail unless *value* is one of the comma-separated items of the header *key*."""
        found = self.assertHeader(key, msg=msg)
        if found is not None and value in [item.strip() for item in found.split(",")]:
            return True
        self._handlewebError(msg or f"{value!r} not in {found!r}")
        return None

    def assertNoHeader(self, key: str, msg: str | None = None) -> None:
        """Fail if the header *key* is there."""
        if self._values(key):
            self._handlewebError(msg or f"{key!r} in headers")

    def assertNoHeaderItemValue(self, key: str, value: str, msg: str | None = None) -> None:
        """Fail if *value* is one of the comma-separated items of the header *key*."""
        if any(value == item.strip() for found in self._values(key) for item in found.split(",")):
            self._handlewebError(msg or f"{key}:{value} in headers")

    def _bytes(self, value: str | bytes) -> bytes:
        return value.encode(self.encoding) if isinstance(value, str) else value

    def assertBody(self, value: str | bytes, msg: str | None = None) -> None:
        """Fail unless the body is *value*."""
        expected = self._bytes(value)
        if expected != self.body:
            self._handlewebError(msg or f"expected body:\n{expected!r}\n\nactual body:\n{self.body!r}")

    def assertInBody(self, value: str | bytes, msg: str | None = None) -> None:
        """Fail unless *value* is part of the body."""
        if self._bytes(value) not in self.body:
            self._handlewebError(msg or f"{value!r} not in body: {self.body!r}")

    def assertNotInBody(self, value: str | bytes, msg: str | None = None) -> None:
        """Fail if *value* is part of the body."""
        if self._bytes(value) in self.body:
            self._handlewebError(msg or f"{value!r} found in body")

    def assertMatchesBody(self, pattern: str | bytes, msg: str | None = None, flags: int = 0) -> None:
        """Fail unless the regular expression *pattern* is found in the body."""
        if re.search(self._bytes(pattern), self.body, flags) is None:
            self._handlewebError(msg or f"No match for {pattern!r} in body")


def cleanHeaders(
    headers: Iterable[tuple[str, str]] | None, method: str, body: bytes | None, host: str, port: int
) -> Headers:
    """*headers*, completed by Host, and by type and length of a body if the method has one."""
    cleaned = list(headers or ())
    names = {name.lower() for name, _ in cleaned}
    if "host" not in names:
        cleaned.append(("Host", host if port == 80 else f"{host}:{port}"))
    # With a type of its own a request is taken as it is: one without a length has to be tested, too.
    if method in methods_with_bodies and "content-type" not in names:
        cleaned.append(("Content-Type", "application/x-www-form-urlencoded"))
        cleaned.append(("Content-Length", str(len(body or b""))))
    return cleaned


def shb(response: HTTPResponse) -> Answer:
    """Status line without the version, headers and body of *response*."""
    return f"{response.status} {response.reason}", response.getheaders(), response.read()


def strip_netloc(url: str) -> str:
    """Path and query of an absolute URL; others as they are."""
    scheme, netloc, path, query, fragment = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(("", "", path, query, fragment)) if scheme and netloc else url


def openURL(*args: Any, raise_subcls: Any = (), **kwargs: Any) -> Answer:
    """Ask, up to ten times: a server that is just starting may not accept yet; see ``_open_once`` for the arguments.

    Raises:
        OSError: after the last trial; at once if it is one of *raise_subcls*.
    """
    for trial in range(1, TRIALS + 1):
        try:
            return _open_once(*args, **kwargs)
        except OSError as error:
            if trial == TRIALS or isinstance(error, raise_subcls):
                raise
            time.sleep(PAUSE_S)
    raise AssertionError("unreachable")


def _open_once(
    url: str,
    headers: Iterable[tuple[str, str]] | None = None,
    method: str = "GET",
    body: bytes | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    http_conn: Any = HTTPConnection,
    protocol: str = "HTTP/1.1",
    ssl_context: Any = None,
) -> Answer:
    is_persistent = not isinstance(http_conn, type)
    if is_persistent:
        connection = http_conn
    else:
        options = {"context": ssl_context} if ssl_context is not None else {}
        connection = http_conn(interface(host), port, **options)
    connection._http_vsn_str = protocol
    connection._http_vsn = int("".join(digit for digit in protocol if digit.isdigit()))
    _allow_any_target(connection)
    try:
        connection.putrequest(method.upper(), strip_netloc(url), skip_host=True, skip_accept_encoding=True)
        for name, value in cleanHeaders(headers, method, body, host, port):
            connection.putheader(name, value.encode("latin-1") if isinstance(value, str) else value)
        connection.endheaders()
        if body is not None:
            connection.send(body)
        return shb(connection.getresponse())
    finally:
        if not is_persistent:
            connection.close()


def _allow_any_target(connection: Any) -> None:
    """Let malformed request targets through: how a server answers them is worth a test."""
    connection._validate_path = lambda url: None
    connection._encode_request = lambda line: line.encode("utf-8" if any(ord(c) > 255 for c in line) else "latin-1")


__all__: Sequence[str] = (
    "ServerError",
    "WebCase",
    "cleanHeaders",
    "ignore_all",
    "ignored_exceptions",
    "interface",
    "methods_with_bodies",
    "openURL",
    "server_error",
    "shb",
    "strip_netloc",
)
