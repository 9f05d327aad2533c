"""Error pages: what is on them, whose they may be, and what happens when they fail."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from cherrypy.core.errorpage import bare_error, format_exc, get_error_page
from cherrypy.core.errors import HTTPError


class Root:
    """Fails as the test wants it to."""

    error: Any = None

    @cherrypy.expose
    def index(self) -> Any:
        raise self.error()


HIDDEN = {"request.show_tracebacks": False}


@pytest.fixture
def fail(site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that mounts with a configuration and answers with an error: (status, message) or another."""

    def ask(error: Any, config: dict[str, Any] | None = None) -> Any:
        made = (lambda self: HTTPError(*error)) if isinstance(error, tuple) else (lambda self: error)
        monkeypatch.setattr(Root, "error", made)
        site.mount(Root(), config={"/": {**HIDDEN, **(config or {})}})
        return site("/")

    return ask


def test_everything_on_the_page_is_escaped(fail: Any) -> None:
    """Status, message, traceback; quotes stay readable."""
    reply = fail(("400 <i>", "<script>&\"'"), {"request.show_tracebacks": True})
    body = reply.body.decode()

    assert "<script>" not in body
    assert "<i>" not in body
    assert "&lt;script&gt;&amp;\"'" in body
    assert "<h1>400 &lt;i&gt;</h1>" in body


def test_the_traceback_of_an_error_is_shown_on_demand(fail: Any) -> None:
    """In <pre id="traceback">, escaped; empty if it is not to be shown."""
    shown = fail(ValueError("<b>secret"), {"request.show_tracebacks": True}).body
    hidden = fail(ValueError("<b>secret")).body

    assert b"ValueError: &lt;b&gt;secret" in shown.partition(b'<pre id="traceback">')[2]
    assert b'<pre id="traceback"></pre>' in hidden
    assert b"secret" not in hidden


def test_the_page_is_what_get_error_page_renders(site: Any, fail: Any) -> None:
    """COMPAT: tests of applications compare the two."""
    reply = fail((410, "gone"))

    assert reply.body.startswith(get_error_page(410, message="gone"))
    assert reply.headers["Content-Type"] == "text/html;charset=utf-8"


def test_defaults_of_get_error_page() -> None:
    """What is missing or None is filled in; the version is CherryPy's."""
    page = get_error_page("404 Lost", message=None, traceback=None).decode()

    assert "<title>404 Lost</title>" in page
    assert "<p>Nothing matches the given URI</p>" in page
    assert f"CherryPy {cherrypy.__version__}" in page
    assert b"<p>m</p>" in get_error_page(404, message="m", version="v")


PADDED = {400: 513, 403: 257, 404: 513, 405: 257, 406: 513, 408: 513, 409: 513, 410: 257, 500: 513, 501: 513, 505: 513}


@pytest.mark.parametrize("status", [*PADDED, 401, 402, 407, 411, 412, 413, 415, 422, 429, 502, 503, 504])
def test_short_pages_are_padded_past_what_browsers_replace(fail: Any, status: int) -> None:
    """By blanks, to the exact length; the others stay as they are."""
    reply = fail((status,), {"error_page.default": lambda **kwargs: "short"})

    assert len(reply.body) == PADDED.get(status, len("short"))
    assert reply.headers["Content-Length"] == str(len(reply.body))
    assert reply.body.rstrip(b" ") == b"short"


def test_long_pages_are_not_padded(fail: Any) -> None:
    """One octet past the limit is enough."""
    body = fail((404,), {"error_page.404": lambda **kwargs: "x" * 513}).body

    assert body == b"x" * 513


STALE = (
    "Accept-Ranges",
    "Age",
    "ETag",
    "Location",
    "Retry-After",
    "Vary",
    "Content-Encoding",
    "Content-Location",
    "Content-MD5",
    "Expires",
    "Last-Modified",
)


@pytest.mark.parametrize("status", [404, 416])
def test_headers_of_the_failed_page_are_dropped(site: Any, status: int) -> None:
    """Each of the documented ones; Content-Range only of 416 stays, since it says which ranges there are."""

    class Describing:
        @cherrypy.expose
        def index(self) -> None:
            for name in (*STALE, "Content-Range", "Content-Length", "Cache-Control", "X-Own"):
                cherrypy.response.headers[name] = "1"
            raise HTTPError(status)

    site.mount(Describing())
    reply = site("/")
    left = {name.title() for name in reply.headers}

    assert not left & {name.title() for name in STALE}
    assert ("Content-Range" in left) is (status == 416)
    assert {"Cache-Control", "X-Own"} <= left
    assert reply.headers["Content-Length"] == str(len(reply.body))


# pages of the application's own


TEMPLATE = "Gr\u00fc\u00dfe \u65e5\u672c: %(status)s|%(message)s|%(traceback)s|%(version)s\r\n"


def test_a_template_has_places_for_what_happened(fail: Any, tmp_path: Path) -> None:
    """Escaped; line ends stay as they are."""
    template = tmp_path / "gone.html"
    template.write_bytes(TEMPLATE.encode())

    reply = fail((410, "<\u00fc>"), {"error_page.410": str(template)})

    expected = f"Gr\u00fc\u00dfe \u65e5\u672c: 410 Gone|&lt;\u00fc&gt;||{cherrypy.__version__}\r\n"
    assert reply.body.decode().rstrip(" ") == expected
    assert reply.headers["Content-Type"] == "text/html;charset=utf-8"


RENDER = """
    import locale, sys, cherrypy
    from cherrypy.core.errorpage import get_error_page
    cherrypy.serving.request.error_page[410] = sys.argv[1]
    sys.stdout.buffer.write(locale.getencoding().encode() + b" " + get_error_page(410, message="m"))
"""


def test_a_utf_8_template_is_read_under_every_locale(tmp_path: Path) -> None:
    """Servers are often started with the locale C, by init or cron."""
    template = tmp_path / "gone.html"
    template.write_bytes(TEMPLATE.encode())
    framework = Path(cherrypy.__file__).parents[1]
    environment = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "PYTHONPATH": str(framework)}

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(RENDER), str(template)], env=environment, capture_output=True, timeout=60
    )

    encoding, _, page = done.stdout.partition(b" ")
    assert encoding in (b"ANSI_X3.4-1968", b"US-ASCII"), done.stderr
    assert page.startswith("Gr\u00fc\u00dfe \u65e5\u672c: 410 Gone|m||".encode())


def pieces(**kwargs: str) -> Iterator[Any]:
    """Make a page piece by piece."""
    yield "t\u00ebxt "
    yield b"bytes"


class Page:
    """A callable object."""

    def __call__(self, status: str, message: str, traceback: str, version: str) -> str:
        return f"{status}|{message}|{bool(traceback)}|{version}"


@pytest.mark.parametrize(
    ("page", "body"),
    [
        (lambda **kwargs: "t\u00ebxt", "t\u00ebxt"),
        (lambda **kwargs: b"bytes", "bytes"),
        (lambda **kwargs: io.BytesIO(b"a file"), "a file"),
        (lambda **kwargs: iter([b"an ", b"iterator"]), "an iterator"),
        (pieces, "t\u00ebxt bytes"),
        (Page(), f"410 Gone|m|False|{cherrypy.__version__}"),
        (lambda **kwargs: "", ""),
    ],
)
def test_a_callable_makes_the_page(fail: Any, page: Any, body: str) -> None:
    """From status, message, traceback and version; as text, bytes, a file, or pieces of either."""
    assert fail((410, "m"), {"error_page.410": page}).body.decode().rstrip(" ") == body


def test_a_callable_may_change_the_response(fail: Any) -> None:
    """Its type, its status."""

    def page(**kwargs: str) -> str:
        cherrypy.response.headers["Content-Type"] = "application/json"
        cherrypy.response.status = 200
        return "{}"

    reply = fail((404,), {"error_page.404": page})

    assert (reply.status, reply.headers["Content-Type"], reply.body.rstrip()) == (200, "application/json", b"{}")


def test_the_page_of_a_code_goes_before_the_default(fail: Any) -> None:
    """Which has all the others, also those of unexpected errors."""
    pages = {"error_page.404": lambda **kwargs: "four", "error_page.default": lambda **kwargs: "any"}

    assert fail((404,), pages).body.rstrip() == b"four"
    assert fail((403,), pages).body.rstrip() == b"any"
    assert fail(KeyError("x"), pages).body.rstrip() == b"any"


def broken(**kwargs: str) -> str:
    """Fail."""
    raise KeyError("<x>")


def redirecting(**kwargs: str) -> str:
    """Fail by an answer."""
    raise cherrypy.HTTPRedirect("/login")


@pytest.mark.parametrize(
    ("page", "failure"),
    [
        ("/nonexistent.html", "FileNotFoundError: [Errno 2] No such file or directory: '/nonexistent.html'"),
        (broken, "KeyError: '&lt;x&gt;'"),
        (redirecting, "cherrypy.core.errors.HTTPRedirect: (['http://site.test/login'], 303)"),
        (lambda: "no arguments", "TypeError: "),
        (lambda **kwargs: None, "ValueError: an error page must return str, bytes or an iterator, not NoneType"),
        (lambda **kwargs: ["list"], "ValueError: an error page must return str, bytes or an iterator, not list"),
        (lambda **kwargs: 5, "ValueError: an error page must return str, bytes or an iterator, not int"),
    ],
)
@pytest.mark.parametrize("key", ["error_page.404", "error_page.default"])
def test_a_page_that_fails_does_not_hide_the_error(fail: Any, key: str, page: Any, failure: str) -> None:
    """The built-in page says both, with the documented sentence between."""
    reply = fail((404, "lost"), {key: page})

    assert reply.status == 404
    assert f"<p>lost<br />In addition, the custom error page failed:\n<br />{failure}" in reply.body.decode()


@pytest.mark.parametrize("text", ["%(nothing)s", "100% of %(status)s", "%(status)d"])
def test_a_template_with_a_mistake_is_a_page_that_fails(fail: Any, tmp_path: Path, text: str) -> None:
    """Not the end of all error pages."""
    template = tmp_path / "page.html"
    template.write_text(text)

    reply = fail((404, "lost"), {"error_page.default": str(template)})

    assert reply.status == 404
    assert b"lost<br />In addition, the custom error page failed:\n<br />" in reply.body


# the last resort


def test_the_bare_error_is_plain_bytes() -> None:
    """With a traceback if one is given, as text or bytes."""
    plain = (b"500 Internal Server Error", [(b"Content-Type", b"text/plain"), (b"Content-Length", b"34")])

    assert bare_error() == (*plain, [b"Unrecoverable error in the server."])
    assert bare_error("tr\u00e4ce")[2] == ["Unrecoverable error in the server.\ntr\u00e4ce".encode()]
    assert bare_error(b"raw")[2] == [b"Unrecoverable error in the server.\nraw"]


def test_tracebacks_are_text() -> None:
    """Of the exception being handled, or of a given one; '' for none."""
    assert format_exc() == ""
    try:
        raise KeyError("x")
    except KeyError as error:
        given = (KeyError, error, error.__traceback__)
        assert format_exc().endswith("KeyError: 'x'\n")

    assert format_exc(given).startswith("Traceback (most recent call last)")
