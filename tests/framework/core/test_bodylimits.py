"""What a body may use: every limit, its key, its default, and values that are none."""

from __future__ import annotations

from typing import Any

import pytest

import cherrypy
from cherrypy.core.bodylimits import DEFAULTS, Allowance
from cherrypy.core.entity import RequestBody
from cherrypy.http.headers import HeaderMap

MULTIPART = {"Content-Type": "multipart/form-data; boundary=XX"}


class Echo:
    """Shows what came."""

    @cherrypy.expose
    def index(self, **params: Any) -> str:
        return repr(sorted(params))

    @cherrypy.expose
    def parts(self, **params: Any) -> str:
        return str(len(cherrypy.request.body.parts))


class Untouched:
    """A body that must not be read."""

    def read(self, size: int = -1) -> bytes:
        """Fail."""
        raise AssertionError("the body was read")


def part(name: str, content: bytes = b"x", filename: str | None = None, head: str = "") -> bytes:
    """Return one part with its boundary line."""
    file = f'; filename="{filename}"' if filename else ""
    return f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n{head}\r\n'.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Return a multipart body."""
    return b"".join(parts) + b"--XX--\r\n"


def nested(depth: int) -> bytes:
    """Return multipart bodies inside one another."""
    body = b"--B0\r\n\r\nx\r\n--B0--\r\n"
    for level in range(1, depth):
        head = b"--B%d\r\nContent-Type: multipart/mixed; boundary=B%d\r\n\r\n" % (level, level - 1)
        body = head + body + b"\r\n--B%d--\r\n" % level
    return body


def ask(site: Any, body: bytes, **limits: Any) -> Any:
    """Post a multipart form to a page with *limits*."""
    site.mount(Echo(), config={"/": {f"request.body.{name}": value for name, value in limits.items()}})
    return site("/", "POST", MULTIPART, body)


def test_the_defaults_are_the_documented_ones() -> None:
    """They stand on the class, where applications may change them as well."""
    documented = {
        "max_fields": 10_000,
        "max_parts": 10_000,
        "max_files": 500,
        "max_nesting": 5,
        "max_part_head_bytes": 16_384,
        "max_form_bytes": 33_554_432,
    }

    assert documented == DEFAULTS
    assert {name: getattr(RequestBody, name) for name in documented} == documented


@pytest.mark.parametrize(
    ("limits", "few", "many"),
    [
        ({"max_parts": 2}, form(part("a"), part("b")), form(part("a"), part("b"), part("c"))),
        ({"max_files": 1}, form(part("a", filename="f"), part("b")), form(*[part("a", filename="f")] * 2)),
        ({"max_form_bytes": 5}, form(part("a", b"12"), part("b", b"345")), form(part("a", b"12"), part("b", b"3456"))),
        (
            {"max_part_head_bytes": 100},
            form(part("a", head="X: y\r\n")),
            form(part("a", head="X: " + "y" * 100 + "\r\n")),
        ),
    ],
)
def test_a_multipart_form_beyond_a_limit_is_413_and_names_the_key(
    site: Any, limits: dict[str, int], few: bytes, many: bytes
) -> None:
    """One less is served."""
    fits = ask(site, few, **limits)
    site.tree.apps.clear()
    reply = ask(site, many, **limits)

    assert (fits.status, reply.status) == (200, 413)
    assert f"request.body.{next(iter(limits))}".encode() in reply.body


def test_too_many_fields_are_413(site: Any) -> None:
    """They are counted before any of them is decoded."""
    site.mount(Echo(), config={"/": {"request.body.max_fields": 3}})

    assert site.form("/", b"a&b&c").status == 200
    assert site.form("/", b"a&b&c&d").status == 413


def test_a_form_that_announces_too_much_text_is_413_before_it_is_read(site: Any) -> None:
    """The declared length is enough to know."""
    site.mount(Echo(), config={"/": {"request.body.max_form_bytes": 10}})
    message = site.message("/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"a" * 11, (1, 1))
    message.body = Untouched()

    assert site.respond(message)[0] == b"413 Request Entity Too Large"


def test_a_chunked_form_with_too_much_text_is_413(site: Any) -> None:
    """No length is declared, so it shows while reading."""
    site.mount(Echo(), config={"/": {"request.body.max_form_bytes": 10}})
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Transfer-Encoding": "chunked"}
    statuses = []
    for body in (b"a" * 10, b"a" * 11):
        message = site.message("/", "POST", kind, body, (1, 1))
        message.headers = [pair for pair in message.headers if pair[0] != b"Content-Length"]
        statuses.append(site.respond(message)[0][:3])

    assert statuses == [b"200", b"413"]


def test_an_urlencoded_part_counts_as_text(site: Any) -> None:
    """Also when it has gone to a temporary file on the way."""
    body = form(part("a", b"x=" + b"1" * 2000, head="Content-Type: application/x-www-form-urlencoded\r\n"))
    fits = ask(site, body, max_form_bytes=3000, max_files=1)
    site.tree.apps.clear()

    assert (fits.status, ask(site, body, max_form_bytes=1500).status) == (200, 413)


def test_nesting_is_bounded(site: Any) -> None:
    """Multipart inside multipart costs stack; nobody sends more than two levels."""
    site.mount(Echo())
    statuses = [
        site("/parts", "POST", {"Content-Type": f"multipart/mixed; boundary=B{depth - 1}"}, nested(depth)).status
        for depth in (5, 6)
    ]

    assert statuses == [200, 413]


def test_a_field_in_a_file_gives_its_file_back(site: Any) -> None:
    """Large fields become text, so their files do not count for long."""
    body = form(*[part(f"n{number}", b"y" * 2000) for number in range(4)])

    assert ask(site, body, max_files=1).status == 200


def test_none_lifts_a_limit(site: Any) -> None:
    """For pages behind a login, say."""
    assert ask(site, form(part("a", head="X: " + "y" * 20_000 + "\r\n")), max_part_head_bytes=None).status == 200


@pytest.mark.parametrize("value", [0, -1, "10", 1.5, True])
@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_a_limit_that_is_no_number_is_named(name: str, value: Any) -> None:
    """The error says which key, what was given and what may be."""
    body = RequestBody(None, HeaderMap())
    setattr(body, name, value)

    with pytest.raises(ValueError, match=rf"request\.body\.{name} must be a whole number of at least 1, or None; not"):
        Allowance(body).limit(name)


@pytest.mark.parametrize("value", [-1, "10", 1.5, True])
def test_a_wrong_maxrambytes_is_named(value: Any) -> None:
    """Zero is allowed: everything goes to files."""
    body = RequestBody(None, HeaderMap())
    body.maxrambytes = value

    with pytest.raises(ValueError, match=r"request\.body\.maxrambytes must be a whole number of at least 0, or None"):
        Allowance(body).maxrambytes  # noqa: B018

    body.maxrambytes = 0
    assert Allowance(body).maxrambytes == 0


def test_a_wrong_limit_is_the_servers_error(site: Any) -> None:
    """The client did nothing wrong, and the page that is shown to the developer says what did."""
    reply = ask(site, form(part("a")), max_parts="many")

    assert reply.status == 500
    assert b"request.body.max_parts must be" in reply.body
