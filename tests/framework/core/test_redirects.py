"""HTTPRedirect and InternalRedirect: where they lead, and what the client is told."""

from __future__ import annotations

import re
from typing import Any

import pytest

import cherrypy


class Root:
    """Raises what the test has put into ``error``."""

    error: Any = None

    @cherrypy.expose
    def index(self) -> Any:
        raise self.error()

    @cherrypy.expose
    def other(self, **params: str) -> str:
        request = cherrypy.request
        return f"other {sorted(params.items())} {request.method} prev={request.prev is not None}"


Root.sub = Root()  # type: ignore[attr-defined]


@pytest.fixture
def app(site: Any) -> Any:
    """Give the application."""
    return site.mount(Root())


def redirect(site: Any, monkeypatch: pytest.MonkeyPatch, *args: Any, path: str = "/sub/", **options: Any) -> Any:
    """Return the answer to a redirect made with *args*."""
    monkeypatch.setattr(Root, "error", lambda self: cherrypy.HTTPRedirect(*args))
    return site(path, **options)


LINKED = (300, 301, 302, 303, 307, 308)


@pytest.mark.parametrize("status", [*LINKED, "302"])
def test_six_statuses_say_where_to(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, status: Any) -> None:
    """By a Location, and by a page with the link."""
    reply = redirect(site, monkeypatch, "/there?a=1&b=2", status)

    assert reply.status == int(status)
    assert reply.headers["Location"] == "http://site.test/there?a=1&b=2"
    assert reply.headers["Content-Type"] == "text/html;charset=utf-8"
    link = "http://site.test/there?a=1&amp;b=2"
    assert re.fullmatch(rf'This resource .* <a href="{re.escape(link)}">{re.escape(link)}</a>\.', reply.body.decode())
    assert reply.headers["Content-Length"] == str(len(reply.body))


def test_several_urls_are_all_linked(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is the Location."""
    reply = redirect(site, monkeypatch, ["/a", "b", b"/c"], 300)

    assert reply.headers["Location"] == "http://site.test/a"
    assert re.findall(rb'href="([^"]*)"', reply.body) == [
        b"http://site.test/a",
        b"http://site.test/sub/b",
        b"http://site.test/c",
    ]


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ("", "http://site.test/sub/"),
        ("x", "http://site.test/sub/x"),
        ("./x", "http://site.test/sub/x"),
        ("../x", "http://site.test/x"),
        ("/x", "http://site.test/x"),
        ("?q=1", "http://site.test/sub/?q=1"),
        ("#part", "http://site.test/sub/#part"),
        ("//other.test/x", "http://other.test/x"),
        ("https://other.test/x", "https://other.test/x"),
        (b"/bytes", "http://site.test/bytes"),
    ],
)
def test_urls_are_joined_to_the_current_one(
    site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, given: Any, location: str
) -> None:
    """As a browser would."""
    assert redirect(site, monkeypatch, given).headers["Location"] == location


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ("/caf\xe9", "/caf%C3%A9"),
        ("/\u0436/\u65e5", "/%D0%B6/%E6%97%A5"),
        ("/a b", "/a%20b"),
        ("/%D0%B6?q=%20&r=a+b", "/%D0%B6?q=%20&r=a+b"),
        ("/x\r\nSet-Cookie: a=b", "/xSet-Cookie:%20a=b"),
        ("/\x00\x7f", "/%00%7F"),
        ("/a!$&'()*+,;=:@~-._", "/a!$&'()*+,;=:@~-._"),
    ],
)
def test_a_location_is_a_uri(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, given: str, location: str) -> None:
    """What a URI may not contain is percent-encoded as UTF-8; no RFC 2047 word, no second header; the rest stays."""
    reply = redirect(site, monkeypatch, given)

    assert dict(reply.pairs)[b"Location"] == b"http://site.test" + location.encode("ascii")


@pytest.mark.parametrize("status", LINKED)
def test_links_are_escaped(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """SECURITY: the address may come from a client."""
    reply = redirect(site, monkeypatch, "/x\"'><script>", status)

    assert b"<script>" not in reply.body
    assert b'href="http://site.test/x&quot;&#x27;&gt;&lt;script&gt;"' in reply.body


def test_bytes_have_an_encoding(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """UTF-8 unless another is given."""
    monkeypatch.setattr(Root, "error", lambda self: cherrypy.HTTPRedirect(b"/caf\xe9", encoding="latin-1"))
    other = site("/").headers["Location"]

    assert other == redirect(site, monkeypatch, "/caf\xe9".encode()).headers["Location"] == "http://site.test/caf%C3%A9"


@pytest.mark.parametrize(
    ("setting", "given", "location"),
    [
        ("server", "/x", "/x"),
        ("server", "x", "/sub/x"),
        ("server", "../x", "/x"),
        ("server", "", "/sub/"),
        ("server", "https://other.test/", "https://other.test/"),
        (True, "/x", "/x"),
        (True, "x", "x"),
        (True, "https://other.test/", "https://other.test/"),
        (False, "/x", "http://site.test/x"),
    ],
)
def test_redirects_can_be_relative(
    site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, setting: Any, given: str, location: str
) -> None:
    """``Application.relative_urls``: behind an unknown proxy, no scheme and host beat wrong ones."""
    app.relative_urls = setting

    assert redirect(site, monkeypatch, given).headers["Location"] == location


@pytest.mark.parametrize(("version", "status"), [((1, 1), 303), ((1, 0), 302)])
def test_the_default_status_is_the_protocol_s(
    site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, version: Any, status: int
) -> None:
    """303 was new in HTTP/1.1."""
    assert redirect(site, monkeypatch, "/x", version=version).status == status


def test_304_keeps_what_describes_the_stored_copy(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And drops what would describe a body."""
    described = ("Allow", "Content-Encoding", "Content-Language", "Content-Location", "Content-MD5", "Content-Range")
    dated = ("Expires", "Last-Modified")

    def error(self: Any) -> Any:
        for name in (*described, *dated, "Content-Length", "Content-Type", "ETag", "Vary", "Cache-Control"):
            cherrypy.response.headers[name] = "1"
        return cherrypy.HTTPRedirect([], 304)

    monkeypatch.setattr(Root, "error", error)
    reply = site("/")

    assert (reply.status, reply.body) == (304, b"")
    assert not {name.title() for name in (*described, *dated, "Content-Length")} & {n.title() for n in reply.headers}
    assert {"ETag".title(), "Vary", "Cache-Control"} <= {name.title() for name in reply.headers}


def test_305_names_a_proxy(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its Location alone."""
    reply = redirect(site, monkeypatch, "http://proxy.test/", 305)

    assert (reply.status, reply.headers["Location"], reply.body) == (305, "http://proxy.test/", b"")


@pytest.mark.parametrize("status", [306, 309, 399])
def test_other_statuses_have_no_answer(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """They may be made, but not sent."""
    reply = redirect(site, monkeypatch, "/", status)

    assert reply.status == 500
    assert f"no redirect is defined for status {status}".encode() in reply.body


@pytest.mark.parametrize("status", [200, 299, 400, 0, -303])
def test_a_redirect_between_300_and_399(status: int) -> None:
    """Everything else is refused when it is made; 0 is not the default."""
    with pytest.raises(ValueError, match="status must be between 300 and 399"):
        cherrypy.HTTPRedirect("/", status)


def test_its_attributes(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """urls, status, default_status, args; as text it shows both; called, it raises itself."""
    made: list[Any] = []

    def error(self: Any) -> Any:
        made.append(cherrypy.HTTPRedirect("/x"))
        return made[0]()

    monkeypatch.setattr(Root, "error", error)
    reply = site("/")
    (given,) = made

    assert (reply.status, reply.headers["Location"]) == (303, "http://site.test/x")
    assert given.urls == ["http://site.test/x"]
    assert (given.status, given.default_status, given.encoding) == (303, 303, "utf-8")
    assert str(given) == "(['http://site.test/x'], 303)"


def internal(site: Any, monkeypatch: pytest.MonkeyPatch, *args: str, path: str = "/sub/", **options: Any) -> Any:
    """Return the answer to an internal redirect made with *args*."""
    monkeypatch.setattr(Root, "error", lambda self: cherrypy.InternalRedirect(*args))
    return site(path, **options)


@pytest.mark.parametrize(
    ("args", "params"),
    [
        (("/other",), []),
        (("/other", "a=1"), [("a", "1")]),
        (("/other?b=2",), [("b", "2")]),
        (("/other?b=2", "a=1"), [("b", "2")]),
        (("../other",), []),
    ],
)
def test_an_internal_redirect_runs_another_page(
    site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, args: Any, params: Any
) -> None:
    """As a GET; a query in the path wins."""
    assert internal(site, monkeypatch, *args).body.decode().startswith(f"other {params} GET prev=True")


def test_an_internal_redirect_of_a_post_is_a_get(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its body."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    reply = internal(site, monkeypatch, "/other", method="POST", body=b"", headers={**form, "Content-Length": "0"})

    assert reply.body.startswith(b"other [] GET prev=True")


def test_an_internal_redirect_to_nowhere_names_it(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """404 of that path."""
    reply = internal(site, monkeypatch, "absent")

    assert reply.status == 404
    assert b"The path '/sub/absent' was not found." in reply.body


@pytest.mark.parametrize("there", ["/", "/sub/"])
def test_an_internal_circle_is_refused(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, there: str) -> None:
    """The same address a second time."""
    monkeypatch.setitem(cherrypy.config, "request.show_tracebacks", True)
    reply = internal(site, monkeypatch, there)

    assert reply.status == 500
    assert b"InternalRedirector visited the same URL twice" in reply.body


def test_attributes_of_an_internal_redirect(site: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """path, query_string, request, args."""
    made: list[Any] = []

    def error(self: Any) -> Any:
        made.append((cherrypy.InternalRedirect("../other?x=1"), cherrypy.serving.request))
        return made[0][0]

    monkeypatch.setattr(Root, "error", error)
    site("/sub/")
    redirected, request = made[0]

    assert (redirected.path, redirected.query_string, redirected.args) == ("/other", "x=1", ("/other", "x=1"))
    assert redirected.request is request


@pytest.mark.parametrize("address", ["http://[::1", "//[x]/", "//\u2100.test/"])
@pytest.mark.parametrize("kind", [cherrypy.HTTPRedirect, cherrypy.InternalRedirect])
def test_a_malformed_address_is_the_clients_error(
    site: Any, app: Any, monkeypatch: pytest.MonkeyPatch, kind: Any, address: str
) -> None:
    """Pages pass on what they were sent; the answer says what was wrong with it."""
    monkeypatch.setattr(Root, "error", lambda self: kind(address))
    reply = site("/sub/")

    assert reply.status == 400
    assert b"The address to go to, " in reply.body


def test_a_malformed_address_is_a_value_error() -> None:
    """What pages caught before, they catch now."""
    with pytest.raises(ValueError, match="malformed"):
        cherrypy.HTTPRedirect("http://[::1")
