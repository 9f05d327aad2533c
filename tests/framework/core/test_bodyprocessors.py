"""Who reads a body: processors by content type, ``default_proc``, classes of an application's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

import cherrypy
from cherrypy.core.entity import Entity, RequestBody, process_urlencoded
from cherrypy.core.formdata import Part, process_multipart, process_multipart_form_data
from cherrypy.http.headers import HeaderMap

MULTIPART = {"Content-Type": "multipart/form-data; boundary=XX"}


class Echo:
    """Shows what came."""

    @cherrypy.expose
    def index(self, **params: Any) -> str:
        return repr(sorted(params.items()))

    @cherrypy.expose
    def seen(self) -> str:
        return repr(getattr(cherrypy.request, "seen", None))


def before_body(site: Any, prepare: Any) -> None:
    """Mount ``Echo`` with *prepare* to be called with the body before it is read."""
    hook = {"hooks.before_request_body": lambda: prepare(cherrypy.serving.request.body)}
    site.mount(Echo(), config={"/": hook})


def see(entity: Any) -> None:
    """Read an entity and show it."""
    cherrypy.serving.request.seen = (entity.content_type.value, entity.fp.read())


def test_the_standard_processors_are_the_documented_ones() -> None:
    """For bodies and for parts."""
    assert Entity.processors == {
        "application/x-www-form-urlencoded": process_urlencoded,
        "multipart/form-data": process_multipart_form_data,
        "multipart": process_multipart,
    }
    assert Part.processors == Entity.processors


def test_a_processor_is_found_by_the_full_type(site: Any) -> None:
    """Parameters of the type do not matter."""
    before_body(site, lambda body: body.processors.update({"application/x-own": see}))

    reply = site("/seen", "POST", {"Content-Type": "application/x-own; v=1"}, b"abc")

    assert reply.body == b"('application/x-own', b'abc')"


def test_a_processor_is_found_by_the_major_type(site: Any) -> None:
    """If there is none for the full one."""
    before_body(site, lambda body: body.processors.update({"image": see, "image/png": lambda entity: None}))

    assert site("/seen", "POST", {"Content-Type": "image/gif"}, b"gif").body == b"('image/gif', b'gif')"
    assert site("/seen", "POST", {"Content-Type": "image/png"}, b"png").body == b"None"


def test_the_default_processor_is_the_last_resort(site: Any) -> None:
    """Also for a body without a type: nothing is guessed."""

    def prepare(body: Any) -> None:
        body.default_proc = lambda: see(body)

    before_body(site, prepare)

    assert site("/seen", "POST", {"Content-Type": "x/y"}, b"1").body == b"('x/y', b'1')"
    assert site("/seen", "POST", {}, b"a=1").body == b"('', b'a=1')"


def test_an_error_can_be_the_default_processor(site: Any) -> None:
    """An HTTPError raises itself when it is called: whatever nobody reads is refused."""

    def prepare(body: Any) -> None:
        body.processors.clear()
        body.default_proc = cherrypy.HTTPError(415, "only x/y")

    before_body(site, prepare)

    assert site.form("/", b"a=1").status == 415


def test_a_processor_of_one_request_is_not_seen_by_the_next(site: Any) -> None:
    """Every entity has a copy of the table."""
    before = dict(Entity.processors)
    before_body(site, lambda body: body.processors.update({"text": see}))
    site("/seen", "POST", {"Content-Type": "text/plain"}, b"1")

    assert Entity.processors == before


def test_processors_may_come_from_configuration(site: Any) -> None:
    """request.body.processors replaces the whole table."""
    site.mount(Echo(), config={"/": {"request.body.processors": {"text/csv": see}}})

    assert site("/seen", "POST", {"Content-Type": "text/csv"}, b"1,2").body == b"('text/csv', b'1,2')"
    assert site.form("/", b"a=1").body == b"[]"


def test_a_json_processor(site: Any) -> None:
    """What it puts into params are parameters of the page."""

    def read_json(entity: Any) -> None:
        with cherrypy.HTTPError.handle(ValueError, 400, "Invalid JSON"):
            entity.params.update(json.loads(entity.fp.read()))

    before_body(site, lambda body: body.processors.update({"application/json": read_json}))
    kind = {"Content-Type": "application/json"}

    assert site("/?q=0", "POST", kind, b'{"a": [1]}').body == b"[('a', [1]), ('q', '0')]"
    assert site("/", "POST", kind, b'{"a"').status == 400


def test_a_part_has_processors_of_its_own(site: Any) -> None:
    """Of its class: here JSON parts become parameters' values."""

    def read_json(part: Any) -> None:
        part.value = json.dumps(json.loads(part.read_all()), sort_keys=True).encode()

    class JsonPart(Part):
        processors = {**Part.processors, "application/json": read_json}

    site.mount(Echo(), config={"/": {"request.body.part_class": JsonPart}})
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: application/json\r\n\r\n{"b":1,"a":2}\r\n'
        b'--XX\r\nContent-Disposition: form-data; name="t"\r\n\r\ntext\r\n--XX--\r\n'
    )

    assert site("/", "POST", MULTIPART, body).body == b"""[('a', '{"a": 2, "b": 1}'), ('t', 'text')]"""


def test_a_processor_that_reads_too_little_loses_nothing_of_the_next_part(site: Any) -> None:
    """The rest of its part is skipped."""

    class Lazy(Part):
        processors = {**Part.processors, "x/lazy": lambda part: setattr(part, "value", b"skipped")}

    site.mount(Echo(), config={"/": {"request.body.part_class": Lazy}})
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: x/lazy\r\n\r\n'
        + b"z\r\n" * 50_000
        + b"\r\n"
        b'--XX\r\nContent-Disposition: form-data; name="t"\r\n\r\ntext\r\n--XX--\r\n'
    )

    assert site("/", "POST", MULTIPART, body).body == b"[('a', 'skipped'), ('t', 'text')]"


def test_a_part_with_parts_of_its_own_is_the_value_of_its_name(site: Any) -> None:
    """Several files of one field were once sent as multipart/mixed; never a 500."""

    class Nested:
        @cherrypy.expose
        def index(self, files: Any) -> str:
            return f"{[part.filename for part in files.parts]}"

    site.mount(Nested())
    body = (
        b'--XX\r\nContent-Disposition: form-data; name="files"\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\n'
        b'--YY\r\nContent-Disposition: file; filename="1"\r\n\r\na\r\n'
        b'--YY\r\nContent-Disposition: file; filename="2"\r\n\r\nb\r\n--YY--\r\n\r\n--XX--\r\n'
    )

    assert site("/", "POST", MULTIPART, body).body == b"['1', '2']"


def test_other_multipart_types_are_read_in_the_old_style(site: Any) -> None:
    """Parts without a name are the parameter 'parts'; files stay parts."""
    site.mount(Echo())
    body = b'--XX\r\n\r\nabc\r\n--XX\r\n\r\ndef\r\n--XX\r\nContent-Disposition: x; name="n"\r\n\r\nghi\r\n--XX--\r\n'

    reply = site("/", "POST", {"Content-Type": "multipart/mixed; boundary=XX"}, body)

    assert reply.body == b"[('n', 'ghi'), ('parts', ['abc', 'def'])]"


@pytest.mark.parametrize("kind", [Entity, RequestBody])
def test_subclasses_may_take_the_place(site: Any, kind: Any) -> None:
    """A hook may replace the body altogether."""

    class Own(kind):  # type: ignore[misc]
        def process(self) -> None:
            cherrypy.serving.request.params["own"] = self.fp.read(3).decode()

    def replace() -> None:
        request = cherrypy.serving.request
        request.body = Own(request.rfile, request.headers)

    site.mount(Echo(), config={"/": {"hooks.before_request_body": replace}})

    assert site.form("/", b"abc").body == b"[('own', 'abc')]"


FORMS = [b"a=1&b=2", b"a=1&a=2&a=3", b"a", b"12,7", b"=", b"&&a=&", b"a=%C3%A9+x", b"a=%FF", b"a=%&b=%4", b"", b"a=b=c"]
FORMS += [b"a=1;b=2", "a=\xe9".encode(), b"a=\xff", b"%61=1&a=2", b"a%3D=1&+=+", b"a=%F0%9F&b=%98%80", b"12,7&a=1"]


@pytest.mark.parametrize("separators", ["&", "&;"])
@pytest.mark.parametrize("declared", ["", "; charset=UTF-8", "; charset=latin-1"])
@pytest.mark.parametrize("form", FORMS)
def test_forms_are_read_the_same_both_ways(site: Any, form: bytes, declared: str, separators: str) -> None:
    """The way of most forms is shorter; a list of charsets that is a tuple goes the long one."""

    class Root(Echo):
        @cherrypy.expose
        def long(self, **params: Any) -> str:
            return self.index(**params)

    def lengthen() -> None:
        body = cherrypy.request.body
        body.attempt_charsets = tuple(body.attempt_charsets)

    site.mount(
        Root(),
        config={"/": {"request.query_separators": separators}, "/long": {"hooks.before_request_body": lengthen}},
    )
    headers = {"Content-Type": f"application/x-www-form-urlencoded{declared}"}
    short, long = (site(path, "POST", headers, form) for path in ("/", "/long"))

    assert (short.status, short.body if short.status == 200 else b"") == (
        long.status,
        long.body if long.status == 200 else b"",
    )


@pytest.mark.parametrize("given", ["a/b", " a/b ", "a/b;c=d", "a/b, c/d", ",", " ", "", 'a/b; c="d,e"', ";", "a/b;"])
def test_a_content_type_is_read_as_a_list_would_be(given: str) -> None:
    """Most are of one word, and need none."""
    headers = HeaderMap({"Content-Type": given})
    elements = headers.elements("Content-Type")
    found = Entity(None, headers).content_type

    assert str(found) == str(elements[0] if elements else Entity.default_content_type)
