"""The smaller tools, and those of redirection, negotiation, conditions and logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.http.dates import HTTPDate
from cherrypy.lib import cptools


class Root:
    """A page that shows what the tools left of the request."""

    headers: dict[str, str] = {}

    @cherrypy.expose
    def index(self, **params: Any) -> str:
        """Say hello."""
        cherrypy.response.headers.update(self.headers)
        return "hello"

    page = index

    @cherrypy.expose
    def seen(self) -> str:
        """What is known of the client."""
        request = cherrypy.request
        return f"{request.base} {request.remote.ip} {request.scheme} {request.headers.get('Range')}"

    @cherrypy.expose
    def nested(self) -> Iterator[Any]:
        """A body of bodies."""
        yield b"a"
        yield iter([b"b", iter([b"c"])])

    @cherrypy.expose
    @cherrypy.tools.params()
    def typed(self, number: int = 0, word: str = "", other: int = 0, free: 3 = 0) -> str:  # type: ignore[valid-type]
        """Parameters with types."""
        return repr((number, word, other, free))

    @cherrypy.expose
    def fail(self) -> None:
        """Break."""
        raise RuntimeError("broken page")


def test_allow_names_and_admits_methods(serve: Callable[..., Any]) -> None:
    """GET brings HEAD; nothing means both."""
    for methods, allowed in ((None, "GET, HEAD"), ("get", "GET, HEAD"), (["POST"], "POST"), ([""], "GET, HEAD")):
        browser = serve(Root(), allow__on=True, allow__methods=methods, allow__debug=True)
        statuses = {method: browser("/", method).status for method in ("GET", "PUT")}
        assert browser("/").headers["Allow"] == allowed
        assert statuses["PUT"] == 405
        assert (statuses["GET"] == 200) is ("GET" in allowed)


def test_headers_are_ignored_and_set(serve: Callable[..., Any]) -> None:
    """Before the page, and whatever it does."""
    ignoring = serve(Root(), ignore_headers__on=True, ignore_headers__debug=True)
    setting = serve(Root(), response_headers__on=True, response_headers__headers=[("X-A", "1")])

    assert ignoring("/seen", headers={"Range": "bytes=1-"}).body.endswith(b"None")
    assert setting("/").headers["X-A"] == "1"


@pytest.mark.parametrize(
    ("settings", "sent", "status"),
    [
        ({}, "http://good/x", 200),
        ({}, "http://evil/x", 403),
        ({}, None, 403),
        ({"accept_missing": True}, None, 200),
        ({"accept": False}, "http://good/x", 403),
        ({"accept": False}, "http://evil/x", 200),
        ({"error": 404}, "http://evil/x", 404),
    ],
)
def test_referers(serve: Callable[..., Any], settings: dict[str, Any], sent: str | None, status: int) -> None:
    """Matching ones in, or out."""
    tools = {f"referer__{name}": value for name, value in settings.items()}
    browser = serve(Root(), referer__on=True, referer__pattern="http://good/", referer__debug=True, **tools)

    assert browser("/", headers={"Referer": sent} if sent else {}).status == status


def test_nested_bodies_are_flattened(serve: Callable[..., Any]) -> None:
    """However deep."""
    assert serve(Root(), flatten__on=True, encode__on=False)("/nested").body == b"abc"


def test_parameters_become_what_annotations_say(serve: Callable[..., Any]) -> None:
    """Annotations are texts here (see the first import); one that is no type converts nothing."""
    browser = serve(Root())

    assert browser("/typed?number=1&word=2&other=3&free=4").body == b"(1, '2', 3, '4')"
    assert browser("/typed?number=x").status == 400


def test_conditions_compare_dates_as_dates(serve: Callable[..., Any]) -> None:
    """A later date is current too; junk is ignored."""

    class Page(Root):
        @cherrypy.expose
        def index(self, **params: Any) -> str:
            cherrypy.response.headers["Last-Modified"] = HTTPDate(1000)
            cptools.validate_since()
            return "page"

    browser = serve(Page())

    def status(method: str = "GET", **headers: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return int(browser("/", method, sent, b"" if method == "POST" else None).status)

    assert status(If_Modified_Since=HTTPDate(1000)) == status(If_Modified_Since=HTTPDate(2000)) == 304
    assert status(If_Modified_Since=HTTPDate(999)) == status(If_Modified_Since="yesterday") == 200
    assert status("POST", If_Modified_Since=HTTPDate(1000)) == 412
    assert status(If_Unmodified_Since=HTTPDate(999)) == 412
    assert status(If_Unmodified_Since=HTTPDate(2000)) == status(If_Unmodified_Since="x") == 200


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"If-None-Match": '"a"'}, 304),
        ("GET", {"If-None-Match": 'W/"a", "b"'}, 304),
        ("GET", {"If-None-Match": "*"}, 304),
        ("GET", {"If-None-Match": '"b"'}, 200),
        ("POST", {"If-None-Match": '"a"'}, 412),
        ("GET", {"If-Match": '"a"'}, 200),
        ("GET", {"If-Match": 'W/"a"'}, 412),
        ("GET", {"If-Match": '"b", "c"'}, 412),
        ("GET", {"If-Match": "*"}, 200),
    ],
)
def test_entity_tags(serve: Callable[..., Any], method: str, headers: dict[str, str], status: int) -> None:
    """Strong for If-Match, weak for If-None-Match."""
    root = Root()
    root.headers = {"ETag": '"a"'}

    assert serve(root, etags__on=True)("/", method, headers, b"" if method == "POST" else None).status == status


def test_tags_can_be_made_of_the_body(serve: Callable[..., Any]) -> None:
    """``autotags``; errors have none."""
    browser = serve(Root(), etags__on=True, etags__autotags=True, etags__debug=True)
    tag = browser("/").headers["Etag"]

    assert tag == '"5d41402abc4b2a76b9719d911017c592"'
    assert browser("/", headers={"If-None-Match": tag}).status == 304
    assert "Etag" not in browser("/none/such").headers


@pytest.mark.parametrize(
    ("sent", "chosen"),
    [
        (None, "text/html"), ("application/json", "application/json"), ("application/*, text/html;q=0.5",
        "application/json"), ("*/*", "text/html"), ("text/html;q=0, */*", "application/json"), ("image/png", None),
        ("text/html;q=0", None), ("text/*;q=0, */*", "application/json"), ("text/*;q=0, text/html", "text/html"),
        ("*/*;q=0, text/html;q=0.1", "text/html"),
    ],
)  # fmt: skip
def test_media_types_are_agreed_on(serve: Callable[..., Any], sent: str | None, chosen: str | None) -> None:
    """What is refused is not sent, not even for ``*/*``."""

    class Page:
        @cherrypy.expose
        def index(self) -> str:
            return str(cptools.accept(["text/html", "application/json"], debug=True))

    answer = serve(Page())("/", headers={"Accept": sent} if sent else {})

    assert (answer.status, answer.body) == (200, chosen.encode()) if chosen else answer.status == 406


def test_accept_without_media_says_nothing() -> None:
    """None."""
    assert cptools.accept() is None


def test_vary_lists_the_headers_that_were_looked_at(serve: Callable[..., Any]) -> None:
    """And what the page named itself."""

    class Page:
        @cherrypy.expose
        def index(self) -> str:
            headers = cherrypy.request.headers
            headers.get("X-A")
            headers.has_key("X-B")
            _ = "x-c" in headers
            headers.elements("X-D")
            headers.get("Content-Type")
            cherrypy.response.headers["Vary"] = "X-E"
            return "x"

    vary = serve(Page(), autovary__on=True, autovary__debug=True)("/").headers["Vary"].split(", ")

    assert {"X-A", "X-B", "X-C", "X-D", "X-E"} <= set(vary)
    assert "Content-Type" not in vary
    assert "X-A" not in serve(Page(), autovary__on=True, autovary__ignore=["X-A"])("/").headers["Vary"]


def test_slashes_are_added_and_taken(serve: Callable[..., Any]) -> None:
    """As configured, with the query."""

    class Sub:
        @cherrypy.expose
        def index(self, **params: Any) -> str:
            return "sub"

    root = Root()
    root.sub = Sub()  # type: ignore[attr-defined]
    plain = serve(root, trailing_slash__debug=True)
    extra = serve(root, trailing_slash__extra=True, trailing_slash__status=308)

    assert plain("/sub?a=b").headers["Location"] == "http://localhost/sub/?a=b"
    assert plain("/sub").status == 301
    assert plain("/page/").status == 200
    assert extra("/page/?a=b").headers["Location"] == "http://localhost/page?a=b"
    assert extra("/page/").status == 308
    assert serve(root, trailing_slash__missing=False)("/sub").body == b"sub"


def test_a_slash_never_leads_to_another_site(serve: Callable[..., Any]) -> None:
    """SECURITY: '//evil.example/x' as a relative Location."""

    class Catch:
        @cherrypy.expose
        def index(self) -> str:
            return ""

        def _cp_dispatch(self, vpath: list[str]) -> Any:
            vpath.clear()
            return self

    browser = serve(Catch())
    browser.app.relative_urls = "server"
    answer = browser("//evil.example/x")

    assert not answer.headers.get("Location", "").startswith("//")


def test_redirects_seen_and_unseen(serve: Callable[..., Any]) -> None:
    """By the client."""

    class Page:
        @cherrypy.expose
        def index(self) -> str:
            return "index"

        @cherrypy.expose
        @cherrypy.tools.redirect(url="/", internal=False, debug=True)
        def away(self) -> str:
            return ""

        @cherrypy.expose
        @cherrypy.tools.redirect(url="/")
        def inside(self) -> str:
            return ""

    browser = serve(Page())

    assert browser("/away").headers["Location"] == "http://localhost/"
    assert browser("/inside").body == b"index"


def seen(browser: Any, **headers: str) -> list[str]:
    """What the page believes."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return str(browser("/seen", headers=sent).body.decode()).split()[:3]


def test_a_proxy_is_believed_as_documented(serve: Callable[..., Any]) -> None:
    """Scheme, host and address, each in its header, each switchable."""
    browser = serve(Root(), proxy__on=True, proxy__debug=True)

    assert seen(browser, X_Forwarded_Host="shop, inner", X_Forwarded_Proto="https", X_Forwarded_For="6.6.6.6, 1.1.1.1")[
        :2
    ] == ["https://shop", "6.6.6.6"]
    assert seen(browser)[:2] == ["http://localhost", "127.0.0.1"]
    assert seen(browser, X_Forwarded_Proto="java script:")[0] == "http://localhost"
    based = serve(Root(), proxy__on=True, proxy__base="https://www.example.com", proxy__local=None, proxy__remote=None)
    assert seen(based, X_Forwarded_For="6.6.6.6")[:2] == ["https://www.example.com", "127.0.0.1"]
    ssl = serve(Root(), proxy__on=True, proxy__scheme="X-Forwarded-Ssl")
    assert seen(ssl, X_Forwarded_Ssl="on")[0] == "https://localhost"


def test_only_listed_proxies_are_believed(serve: Callable[..., Any]) -> None:
    """SECURITY: with ``trusted``, forged headers of others do nothing."""
    forged = {"X_Forwarded_Host": "evil", "X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "https"}
    closed = serve(Root(), proxy__on=True, proxy__trusted=["10.0.0.0/8"])
    opened = serve(Root(), proxy__on=True, proxy__trusted="127.0.0.1", proxy__debug=True)

    assert seen(closed, **forged) == ["http://localhost", "127.0.0.1", "http"]
    assert seen(opened, **{**forged, "X_Forwarded_For": "6.6.6.6, 192.0.2.7"}) == ["https://evil", "192.0.2.7", "https"]
    assert seen(opened, Forwarded="for=192.0.2.7;proto=https")[:2] == ["https://localhost", "192.0.2.7"]
    based = serve(Root(), proxy__on=True, proxy__trusted="127.0.0.1", proxy__base="www.example.com")
    assert seen(based, X_Forwarded_Proto="https")[0] == "https://www.example.com"


def test_errors_and_hooks_are_logged(serve: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    """Traceback, request headers, hooks in order."""
    browser = serve(Root(), log_hooks__on=True, log_headers__on=True)
    with caplog.at_level(logging.INFO):
        browser("/fail", headers={"X-Mark": "here"})
    text = caplog.text

    assert "broken page" in text
    assert "X-Mark: here" in text
    assert "Request Hooks for http://localhost/fail" in text
    assert text.index("on_start_resource:") < text.index("before_finalize:")
