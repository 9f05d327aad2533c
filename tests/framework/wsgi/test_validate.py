"""Strictly WSGI, in both directions: the standard library's checker has nothing to say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

import cherrypy
from cherrypy.httpd.gateway import WSGIGateway
from cherrypy.httpd.server import Server

Answer = tuple[str, dict[str, str], bytes]
FORM = "application/x-www-form-urlencoded"


class Pages:
    """Every kind of answer."""

    @cherrypy.expose
    def index(self, **params: Any) -> str:
        return repr(sorted(params))

    @cherrypy.expose
    def status(self, code: str) -> str:
        cherrypy.response.status = int(code)
        return "body"

    @cherrypy.expose
    def away(self) -> str:
        raise cherrypy.HTTPRedirect("/elsewhere")

    @cherrypy.expose
    def same(self) -> str:
        raise cherrypy.HTTPRedirect([], 304)

    @cherrypy.expose
    def inside(self) -> str:
        raise cherrypy.InternalRedirect("/", "a=1")

    @cherrypy.expose
    def broken(self) -> str:
        raise ZeroDivisionError

    @cherrypy.expose
    def cookies(self) -> str:
        cherrypy.response.cookie["a"] = "b"
        return "x"

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def stream(self) -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    @cherrypy.expose
    def raw(self) -> bytes:
        data: bytes = cherrypy.request.body.read()
        return data

    @cherrypy.expose
    def rfile(self) -> bytes:
        return b"".join(cherrypy.request.rfile)

    rfile._cp_config = {"request.process_request_body": False}


CASES: list[tuple[str, dict[str, Any], str, bytes]] = [
    ("/", {}, "200 OK", b"[]"),
    ("/", {"QUERY_STRING": "a=1"}, "200 OK", b"['a']"),
    ("/", {"REQUEST_METHOD": "HEAD"}, "200 OK", b""),
    ("/stream", {}, "200 OK", b"onetwo"),
    ("/stream", {"REQUEST_METHOD": "HEAD"}, "200 OK", b""),
    ("/cookies", {}, "200 OK", b"x"),
    ("/inside", {}, "200 OK", b"['a']"),
    ("/same", {}, "304 Not Modified", b""),
    *[("/status", {"QUERY_STRING": f"code={code}"}, f"{code} ", b"") for code in (204, 205, 304)],
    *[("/status", {"QUERY_STRING": f"code={code}"}, f"{code} ", b"body") for code in (201, 206, 404, 500)],
    ("/", {"REQUEST_METHOD": "POST", "body": b"a=1&b=2", "CONTENT_TYPE": FORM}, "200 OK", b"['a', 'b']"),
    ("/", {"REQUEST_METHOD": "POST"}, "411 Length Required", b""),
    ("/raw", {"REQUEST_METHOD": "PUT", "body": b"\0\1"}, "200 OK", b"\0\1"),
    ("/rfile", {"REQUEST_METHOD": "PUT", "body": b"1\n2\n"}, "200 OK", b"1\n2\n"),
    (
        "/",
        {
            "REQUEST_METHOD": "POST",
            "body": b"a=1",
            "CONTENT_TYPE": FORM,
            "CONTENT_LENGTH": None,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
        },
        "200 OK",
        b"['a']",
    ),
]


@pytest.mark.parametrize(("path", "environ", "status", "body"), CASES)
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_the_tree_is_strictly_wsgi(
    site: Any, ask: Callable[..., Answer], path: str, environ: dict[str, Any], status: str, body: bytes
) -> None:
    """Whatever the answer is."""
    site.mount(Pages())
    answer = ask(validator(site.tree), path, **environ)

    assert answer[0].startswith(status)
    assert body in (b"", answer[2])


@pytest.mark.parametrize("path", ["/away", "/broken", "/nowhere"])
def test_errors_and_redirects_are_strictly_wsgi(site: Any, ask: Callable[..., Answer], path: str) -> None:
    """Their pages too."""
    site.mount(Pages())

    assert ask(validator(site.tree), path)[0][:3] in ("303", "404", "500")


def test_a_path_where_nothing_is_mounted_is_strictly_wsgi(site: Any, ask: Callable[..., Answer]) -> None:
    """A bare 404 has a type as well."""
    site.mount(Pages(), "/app")

    assert ask(validator(site.tree), "/elsewhere") == (
        "404 Not Found",
        {"Content-Type": "text/plain", "Content-Length": "0"},
        b"",
    )


def test_204_and_304_have_no_content_type(site: Any, ask: Callable[..., Answer]) -> None:
    """There is nothing that it could describe."""
    site.mount(Pages())

    for code in ("204", "304"):
        headers = ask(site.tree, "/status", QUERY_STRING=f"code={code}")[1]
        assert {"Content-Type", "Content-Length"} & set(headers) == set()


@pytest.fixture
def checked() -> Iterator[Any]:
    """Serve an application behind the checker by the native server; gives a function that exchanges octets."""
    errors: list[BaseException] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        data = b"".join(environ["wsgi.input"]) if environ["PATH_INFO"] == "/lines" else environ["wsgi.input"].read(99)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
        return [data]

    def guarded(environ: Any, start_response: Any) -> Any:
        try:
            return validator(app)(environ, start_response)
        except BaseException as error:
            errors.append(error)
            raise

    server = Server(("127.0.0.1", 0), WSGIGateway(guarded))
    thread = threading.Thread(target=server.serve)
    server.prepare()
    thread.start()

    def exchange(octets: bytes) -> bytes:
        with socket.create_connection(server.bind_addr, timeout=10) as client:
            client.sendall(octets)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert errors == []
        return answer

    yield exchange
    server.stop(5)
    thread.join(10)

    assert not thread.is_alive()


END = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + END, b""),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n" + END, b""),
        (b"GET /%C3%A9?q=1 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\n" + END, b""),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\nContent-Length: 3\r\n" + END + b"abc", b"abc"),
        (b"POST /lines HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n" + END + b"a\nb\n", b"a\nb\n"),
        (
            b"POST /lines HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            + END
            + b"3\r\na\nb\r\n1\r\n\n\r\n0\r\n\r\n",
            b"a\nb\n",
        ),
        (b"GET / HTTP/1.0\r\n\r\n", b""),
    ],
    ids=["GET", "HEAD", "path", "POST", "lines", "chunked lines", "HTTP/1.0"],
)
def test_our_server_gives_a_strictly_wsgi_environ(checked: Any, octets: bytes, body: bytes) -> None:
    """A checked application under the native server; the chunked input can be iterated over as well."""
    answer = checked(octets)

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.partition(b"\r\n\r\n")[2] == body
