"""What is read from a WSGI environ, key by key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.wsgi.environ import downgrade_wsgi_ux_to_1x

Answer = tuple[str, dict[str, str], bytes]


@pytest.fixture
def look(site: Any, ask: Callable[..., Answer]) -> Callable[..., Any]:
    """Give a function that returns what a page sees of its request."""

    def look(see: Any, path: str = "/", config: Any = None, **environ: Any) -> Any:
        found: list[Any] = []

        class Root:
            @cherrypy.expose
            def default(self, *args: str, **params: Any) -> str:
                found.append(see(cherrypy.serving.request))
                return ""

            index = default

        site.tree.apps.clear()
        site.mount(Root(), config={"/": config or {}})
        answer = ask(site.tree, path, **environ)
        assert found, answer
        return found[0]

    return look


@pytest.mark.parametrize(
    ("environ", "see", "expected"),
    [
        ({"SERVER_NAME": "here", "SERVER_PORT": "81"}, lambda r: (r.local.name, r.local.port), ("here", 81)),
        ({"SERVER_PORT": ""}, lambda r: r.local.port, -1),
        (
            {"REMOTE_ADDR": "1.2.3.4", "REMOTE_PORT": "5", "REMOTE_HOST": "far"},
            lambda r: (r.remote.ip, r.remote.port, r.remote.name),
            ("1.2.3.4", 5, "far"),
        ),
        ({"REMOTE_ADDR": "1.2.3.4", "REMOTE_PORT": ""}, lambda r: (r.remote.port, r.remote.name), (-1, "")),
        ({"wsgi.url_scheme": "https", "HTTP_HOST": "h"}, lambda r: (r.scheme, r.base), ("https", "https://h")),
        ({"ACTUAL_SERVER_PROTOCOL": "HTTP/1.0"}, lambda r: (r.server_protocol, r.protocol), ("HTTP/1.0", (1, 0))),
        ({}, lambda r: r.server_protocol, "HTTP/1.1"),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, lambda r: (r.protocol, r.request_line), ((1, 0), "GET / HTTP/1.0")),
        ({"REMOTE_USER": "b"}, lambda r: r.login, "b"),
        ({"LOGON_USER": "a", "REMOTE_USER": "b"}, lambda r: r.login, "a"),
        ({}, lambda r: r.login, None),
        ({"wsgi.multithread": False}, lambda r: r.multithread, False),
        ({"wsgi.multiprocess": True}, lambda r: r.multiprocess, True),
        ({"REQUEST_METHOD": "PURGE"}, lambda r: r.method, "PURGE"),
        ({"QUERY_STRING": "a=1"}, lambda r: (r.query_string, r.params), ("a=1", {"a": "1"})),
        ({"HTTP_X_ONE": "1"}, lambda r: r.headers["X-One"], "1"),
        ({"HTTP_CGI_AUTHORIZATION": "Basic x"}, lambda r: r.headers["Authorization"], "Basic x"),
        ({"CONTENT_TYPE": "x/y"}, lambda r: r.headers["Content-Type"], "x/y"),
        ({"CONTENT_LENGTH": "0"}, lambda r: r.headers["Content-Length"], "0"),
        ({"REMOTE_ADDR": "1.2.3.4"}, lambda r: r.headers["Remote-Addr"], "1.2.3.4"),
        ({"REMOTE_HOST": "far"}, lambda r: r.headers["Remote-Host"], "far"),
        ({"x.own": 7}, lambda r: r.wsgi_environ["x.own"], 7),
    ],
)
def test_a_key_of_the_environ_reaches_the_request(
    look: Callable[..., Any], environ: dict[str, Any], see: Any, expected: Any
) -> None:
    """Under the attribute that the manual names."""
    assert look(see, **environ) == expected


@pytest.mark.parametrize(
    ("forged", "key", "value"),
    [
        ({"HTTP_REMOTE_ADDR": "9.9.9.9", "REMOTE_ADDR": "1.2.3.4"}, "Remote-Addr", "1.2.3.4"),
        ({"HTTP_CONTENT_TYPE": "a/b", "CONTENT_TYPE": "x/y"}, "Content-Type", "x/y"),
        ({"HTTP_CONTENT_LENGTH": "9", "CONTENT_LENGTH": "0"}, "Content-Length", "0"),
        ({"HTTP_REMOTE_HOST": "near"}, "Remote-Host", None),
    ],
)
def test_a_client_cannot_forge_what_the_server_says(
    look: Callable[..., Any], forged: dict[str, Any], key: str, value: Any
) -> None:
    """A header of its own with such a name is left out."""
    assert look(lambda request: request.headers.get(key), **forged) == value


@pytest.mark.parametrize(
    ("script_name", "path", "seen"),
    [("", "/a/b", ("", "/a/b")), ("/app", "/a", ("/app", "/a")), ("/app", "/", ("/app", "/"))],
)
def test_script_name_and_path(
    site: Any, ask: Callable[..., Answer], script_name: str, path: str, seen: tuple[str, str]
) -> None:
    """A grafted application without a name of its own takes it from the server."""

    class Root:
        @cherrypy.expose
        def default(self, *args: str) -> str:
            request = cherrypy.serving.request
            return f"{request.script_name} {request.path_info}"

        index = default

    app = cherrypy.Application(Root(), None)

    assert ask(app, path, SCRIPT_NAME=script_name)[2].decode() == " ".join(seen)


@pytest.mark.parametrize(
    ("encoding", "path", "seen"),
    [
        (None, "/\xc3\xa9", ("é",)),
        ("latin-1", "/\xe9", ("é",)),
        ("cp1251", "/\xe9", ("й",)),
        (None, "/\xe9", ("é",)),
        (None, "/a%2Fb", ("a/b",)),
    ],
)
def test_paths_are_decoded_by_uri_encoding(
    look: Callable[..., Any], encoding: str | None, path: str, seen: tuple[str]
) -> None:
    """``request.uri_encoding``, utf-8 by default; what does not fit stays latin-1."""
    config = {"request.uri_encoding": encoding} if encoding else {}

    assert look(lambda request: tuple(request.args), path, config) == seen


def test_the_unicode_version_of_wsgi_is_understood(look: Callable[..., Any]) -> None:
    """wsgi.version ('u', 0): the path is text already, in wsgi.url_encoding."""
    unicode_wsgi = {"wsgi.version": ("u", 0), "wsgi.url_encoding": "utf-8"}

    assert look(lambda request: tuple(request.args), "/é", **unicode_wsgi) == ("é",)
    assert look(lambda request: request.params["a"], "/", QUERY_STRING="a=é", **unicode_wsgi) == "é"


def test_downgrade_dresses_paths_as_octets() -> None:
    """What they are decoded by is told; everything else stays as it is."""
    stream = object()
    environ = {
        "PATH_INFO": "/é",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "ä",
        "HTTP_X": "é",
        "wsgi.input": stream,
        "wsgi.url_encoding": "utf-8",
    }

    assert downgrade_wsgi_ux_to_1x(environ) == {
        **environ,
        "PATH_INFO": "/\xc3\xa9",
        "QUERY_STRING": "\xc3\xa4",
        "wsgi.url_encoding": "ISO-8859-1",
        "wsgi.version": (1, 0),
    }


def test_http_1_1_needs_a_host(site: Any, ask: Callable[..., Answer]) -> None:
    """A server that lets such a request through gets a 400."""
    site.mount(type("Root", (), {"index": cherrypy.expose(lambda self: "")})())

    def without_host(environ: Any, start_response: Any) -> Any:
        del environ["HTTP_HOST"]
        return site.tree(environ, start_response)

    assert ask(without_host)[0] == "400 Bad Request"
    assert ask(without_host, SERVER_PROTOCOL="HTTP/1.0")[0] == "200 OK"


@pytest.mark.parametrize("said", ["http", "/run/shop.sock", "None", ""])
def test_a_port_that_is_no_number_is_none(said: str, site: Any, ask: Callable[..., Answer]) -> None:
    """Waitress names the path of its Unix socket there."""
    site.mount(type("Root", (), {"index": cherrypy.expose(lambda self: str(cherrypy.request.local.port))})())
    remote = type("Root", (), {"index": cherrypy.expose(lambda self: str(cherrypy.request.remote.port))})()
    site.mount(remote, "/remote")

    assert ask(site.tree, SERVER_PORT=said)[2] == b"-1"
    assert ask(site.tree, PATH_INFO="/remote/", REMOTE_PORT=said)[2] == b"-1"
