"""Request bodies: lengths, limits, charsets, forms."""

from __future__ import annotations

import io
from typing import Any

import pytest

import cherrypy
from cherrypy.core.entity import Entity, RequestBody
from cherrypy.core.formdata import Part
from cherrypy.core.sizedreader import SizedReader
from cherrypy.http.bodyerrors import BodyTimeout, BodyTooLarge
from cherrypy.http.headers import HeaderMap


class Echo:
    """Shows what came."""

    @cherrypy.expose
    def index(self, **params: Any) -> str:
        return repr(sorted(params.items()))

    @cherrypy.expose
    def raw(self) -> bytes:
        data: bytes = cherrypy.request.body.read()
        return data


def test_a_form_and_a_query_are_merged(site: Any) -> None:
    """Repeated names become lists."""
    site.mount(Echo())

    assert site.form("/?a=1&b=2", b"a=3&c=%C3%A9+x").body.decode() == "[('a', ['1', '3']), ('b', '2'), ('c', 'é x')]"


def test_a_body_without_length_is_411(site: Any) -> None:
    """Somebody must say that there is one."""
    site.mount(Echo())

    assert site("/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}).status == 411


def test_an_undecodable_form_is_400(site: Any) -> None:
    """The message names the charsets."""
    site.mount(Echo())

    reply = site.form("/", b"a=%ff")

    assert reply.status == 400
    assert b"['utf-8']" in reply.body


def test_the_declared_charset_comes_first(site: Any) -> None:
    """Then those of the class."""
    site.mount(Echo())

    reply = site("/", "POST", {"Content-Type": "application/x-www-form-urlencoded; charset=latin-1"}, b"a=%e9")

    assert reply.body.decode() == "[('a', 'é')]"


def test_a_body_of_another_type_is_left_to_the_page(site: Any) -> None:
    """It can be read from request.body."""
    site.mount(Echo())

    assert site("/raw", "PUT", {"Content-Type": "application/octet-stream"}, b"\0\1\2").body == b"\0\1\2"


def test_the_body_of_a_get_is_not_processed(site: Any) -> None:
    """Only methods_with_bodies have one."""
    site.mount(Echo())

    assert site("/", "GET", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1").body == b"[]"


def test_maxbytes_is_413(site: Any) -> None:
    """request.body.maxbytes is the page's own limit."""
    site.mount(Echo(), config={"/": {"request.body.maxbytes": 3}})

    assert site.form("/", b"a=12345").status == 413


@pytest.mark.parametrize(("error", "status"), [(BodyTooLarge("x"), 413), (BodyTimeout("x"), 408)])
def test_the_servers_errors_become_answers(site: Any, error: Exception, status: int) -> None:
    """Whoever reads the body."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise error

    site.mount(Echo())
    message = site.message("/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1", (1, 1))
    message.body = Failing()

    assert int(site.respond(message)[0][:3]) == status


def test_a_short_body_is_an_error() -> None:
    """It must not look complete."""
    reader = SizedReader(io.BytesIO(b"abc"), 5, None)

    with pytest.raises(cherrypy.HTTPError):
        reader.read()


def test_lines_are_bounded() -> None:
    """readline(size) holds no more than it was asked for."""
    reader = SizedReader(io.BytesIO(b"a" * 100 + b"\nb\n"), 103, None)

    assert [reader.readline(60), reader.readline(60), reader.readline(), reader.readline()] == [
        b"a" * 60,
        b"a" * 40 + b"\n",
        b"b\n",
        b"",
    ]


def test_reading_stops_at_the_length() -> None:
    """What follows on the stream is the next request's."""
    stream = io.BytesIO(b"mineother")
    reader = SizedReader(stream, 4, None)

    assert (reader.read(), stream.read(), reader.done) == (b"mine", b"other", True)


class Strict:
    """Pages that a client may call with names that Python uses itself."""

    @cherrypy.expose
    def anything(self, **params: str) -> str:
        return repr(params)

    @cherrypy.expose
    def rest(self, *args: str, **kwargs: str) -> str:
        return repr((args, kwargs))

    @cherrypy.expose
    @classmethod
    def kind(cls, **params: str) -> str:
        return repr(params)

    @cherrypy.expose
    def one(self, a: str = "") -> str:
        return a


@pytest.mark.parametrize(
    ("target", "form", "status"),
    [
        ("/anything?self=1", b"", 404),
        ("/anything", b"self=1", 400),
        ("/anything?self=1", b"self=2", 400),
        ("/kind?cls=1", b"", 404),
        ("/kind", b"cls=1", 400),
        ("/one?self=1", b"", 404),
        ("/one", b"self=1", 400),
        ("/one?args=1&kwargs=2", b"", 404),
        ("/anything?args=1&cls=2", b"", 200),
        ("/rest?args=1&kwargs=2", b"", 200),
        ("/rest", b"callable=1&request=2", 200),
    ],
)
def test_a_parameter_with_a_name_of_pythons_own_is_no_server_error(
    site: Any, target: str, form: bytes, status: int
) -> None:
    """``?self=1`` is the client's mistake."""
    site.mount(Strict())
    reply = site.form(target, form) if form else site(target)

    assert reply.status == status


def test_an_entity_begins_with_the_documented_attributes() -> None:
    """Of the class, and of an instance made of the least."""
    entity = Entity("fp", HeaderMap())

    assert (Entity.attempt_charsets, Entity.default_content_type, Entity.charset) == (
        ["utf-8"],
        "application/x-www-form-urlencoded",
        None,
    )
    assert (Entity.filename, Entity.name, Entity.length, Entity.part_class) == (None, None, None, Part)
    assert (entity.fp, entity.params, entity.parts, entity.length) == ("fp", {}, [], None)
    assert entity.content_type.value == "application/x-www-form-urlencoded"
    assert entity.attempt_charsets is not Entity.attempt_charsets


def test_an_entity_takes_params_and_parts() -> None:
    """They are filled in place."""
    params: dict[str, Any] = {}
    parts: list[Any] = []
    entity = Entity(None, HeaderMap(), params, parts)

    assert entity.params is params
    assert entity.parts is parts


def test_a_request_body_begins_with_the_documented_attributes() -> None:
    """A body without a type is not taken for a form."""
    body = RequestBody(None, HeaderMap())

    assert (RequestBody.bufsize, RequestBody.default_content_type, RequestBody.maxbytes) == (8192, "", None)
    assert (body.content_type.value, body.request_params, body.maxrambytes) == ("", {}, None)


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"Content-Length": "7"}, 7),
        ({}, None),
        ({"Content-Length": ""}, None),
        ({"Content-Length": "7", "Transfer-Encoding": "chunked"}, None),
        ({"Content-Length": "7", "Transfer-Encoding": "Chunked"}, None),
    ],
)
def test_the_length_is_the_declared_one_unless_chunked(headers: dict[str, str], length: int | None) -> None:
    """None when only the end will tell."""
    assert Entity(None, HeaderMap(headers)).length == length


@pytest.mark.parametrize("declared", ["-1", "+5", "abc", "1_0", "\u0663", "5, 5", "0x5", "9" * 5000])
def test_a_content_length_that_is_no_number_is_400(site: Any, declared: str) -> None:
    """Reading on to the end of a foreign server's stream would take the next request for the body of this one."""
    app = site.mount(Echo())
    request, response = app.get_serving(None, None, "http", "HTTP/1.1")
    headers = [("Host", "x"), ("Content-Length", declared), ("Content-Type", "application/x-www-form-urlencoded")]
    request.run("POST", "/", "", "HTTP/1.1", headers, io.BytesIO(b"a=1"))

    assert response.output_status == b"400 Bad Request"


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="a"', "a", None),
        ('form-data; name="a;b"; filename="x;y.txt"', "a;b", "x;y.txt"),
        ("form-data; name=a; filename=b", "a", "b"),
        ('form-data; name="a"; filename=""', "a", ""),
        ("form-data; name=\"a\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt", "a", "naïve €.txt"),
        ("form-data; name=\"a\"; filename*=iso-8859-1'en'%A3.txt", "a", "£.txt"),
        ('form-data; name="a"; filename="plain"; filename*=\'\'b', "a", "b"),
    ],
)
def test_name_and_filename(disposition: str, name: str, filename: str | None) -> None:
    """Of Content-Disposition; RFC 5987 for what is not ASCII."""
    entity = Entity(None, HeaderMap({"Content-Disposition": disposition}))

    assert (entity.name, entity.filename) == (name, filename)


@pytest.mark.parametrize("encoded", ["rot13''abc", "undefined''a", "no-such''a", "utf-8''%ff", "idna''a" + "b" * 80])
def test_a_file_name_that_cannot_be_decoded_is_400(encoded: str) -> None:
    """Never a 500."""
    with pytest.raises(cherrypy.HTTPError) as caught:
        Entity(None, HeaderMap({"Content-Disposition": f"form-data; filename*={encoded}"}))

    assert caught.value.code == 400


@pytest.mark.parametrize(
    "charset", ["rot13", "hex", "zlib", "idna", "punycode", "undefined", "unicode_escape", "x" * 99]
)
def test_a_codec_that_is_no_charset_is_400(site: Any, charset: str) -> None:
    """Some of them turn bytes into bytes, some need quadratic time, one raises what nobody expects."""
    site.mount(Echo())
    reply = site("/", "POST", {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}, b"a=1")

    assert reply.status == 400
    assert b"which is no known charset" in reply.body


def test_a_charset_that_is_none_costs_only_who_decodes() -> None:
    """A body that nobody decodes may declare what it likes."""
    body = RequestBody(None, HeaderMap({"Content-Type": "image/png; charset=none"}))

    assert body.attempt_charsets == ["none", "utf-8"]


def test_a_configured_charset_that_is_none_is_named() -> None:
    """That is the application's mistake."""
    entity = Entity(None, HeaderMap())
    entity.attempt_charsets = ["no-such"]

    with pytest.raises(LookupError, match=r"request\.body\.attempt_charsets names 'no-such', which is no charset"):
        entity.decode_entity(b"a")


def test_charsets_are_tried_in_their_order(site: Any) -> None:
    """request.body.attempt_charsets; the one that fits is told."""

    class Told:
        @cherrypy.expose
        def index(self, a: str) -> str:
            return f"{a!r} {cherrypy.request.body.charset}"

    site.mount(Told(), config={"/": {"request.body.attempt_charsets": ["us-ascii", "utf-16-le", "latin-1"]}})

    assert site.form("/", b"a=1").body == b"'1' us-ascii"
    assert site.form("/", b"%61%00=%e9%00").body.decode() == "'é' utf-16-le"
    assert site.form("/", b"a=%e9").body.decode() == "'é' latin-1"


def test_text_may_be_latin_1() -> None:
    """RFC 2616: the default charset of text/*; named once only."""
    plain = RequestBody(None, HeaderMap({"Content-Type": "text/plain"}))
    named = RequestBody(None, HeaderMap({"Content-Type": "text/plain; charset=ISO-8859-1"}))

    assert plain.attempt_charsets == ["utf-8", "ISO-8859-1"]
    assert named.attempt_charsets == ["ISO-8859-1", "utf-8"]


def test_reading_through_the_entity(tmp_path: Any) -> None:
    """read, readline, readlines, iteration and read_into_file are the reader's."""

    def entity() -> Entity:
        return Entity(SizedReader(io.BytesIO(b"a\nb\nc"), 5, None), HeaderMap())

    assert (entity().read(), entity().read(3), entity().readline(), entity().readline(1)) == (
        b"a\nb\nc",
        b"a\nb",
        b"a\n",
        b"a",
    )
    assert (entity().readlines(), entity().readlines(1), list(entity()), entity().next()) == (
        [b"a\n", b"b\n", b"c"],
        [b"a\n"],
        [b"a\n", b"b\n", b"c"],
        b"a\n",
    )
    with (tmp_path / "out").open("w+b") as out, entity().read_into_file() as made:
        same = entity().read_into_file(out)

        assert same is out
        assert (out.seek(0), out.read(), made.seek(0), made.read()) == (0, b"a\nb\nc", 0, b"a\nb\nc")


def test_fullvalue_is_text_from_memory_or_file() -> None:
    """The file is left at its beginning."""
    entity = Entity(None, HeaderMap())
    entity.value = "é".encode()
    in_memory = entity.fullvalue()
    entity.file = io.BytesIO(b"in a file")

    assert (in_memory, entity.fullvalue(), entity.file.tell()) == ("é", "in a file", 0)


@pytest.mark.parametrize(
    ("method", "expected"), [("POST", b"[('a', '1')]"), ("PUT", b"[('a', '1')]"), ("PATCH", b"[('a', '1')]")]
)
def test_methods_with_bodies(site: Any, method: str, expected: bytes) -> None:
    """Three by default."""
    site.mount(Echo())
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    assert site("/", method, kind, b"a=1").body == expected
    assert site("/", "DELETE", kind, b"a=1").body == b"[]"


def test_further_methods_may_have_bodies(site: Any) -> None:
    """request.methods_with_bodies."""
    site.mount(Echo(), config={"/": {"request.methods_with_bodies": ("POST", "REPORT")}})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    assert site("/", "REPORT", kind, b"a=1").body == b"[('a', '1')]"
    assert site("/", "PUT", kind, b"a=1").body == b"[]"


@pytest.mark.parametrize(
    ("separators", "query", "form"),
    [("&", {"a": "1;b=2"}, {"c": "3;d=4"}), ("&;", {"a": "1", "b": "2"}, {"c": "3", "d": "4"})],
)
def test_a_semicolon_separates_parameters_only_on_demand(
    site: Any, separators: str, query: dict[str, str], form: dict[str, str]
) -> None:
    """A cache in front sees other parameters than a page that splits there: web cache poisoning."""
    site.mount(Echo(), config={"/": {"request.query_separators": separators}})

    assert site.form("/?a=1;b=2", b"c=3;d=4").body.decode() == repr(sorted({**query, **form}.items()))
    assert site("/?a=1;b=2").body.decode() == repr(sorted(query.items()))


def test_separators_that_are_none_are_named(site: Any) -> None:
    """The error says what may be."""
    site.mount(Echo(), config={"/": {"request.query_separators": "|"}})
    text = b"request.query_separators must be '&amp;' or '&amp;;', not '|'"

    assert text in site("/?a=1").body
    assert text in site.form("/", b"a=1").body
