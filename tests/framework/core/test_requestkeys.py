"""Wrong values of the ``request`` namespace: the key, what was given, and what is allowed."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import cherrypy
from cherrypy.conf.namespaces import UnknownKeyWarning, _warned
from cherrypy.core.requestkeys import CHECKS, check

WRONG: list[tuple[str, Any, str]] = [
    ("dispatch", "name", "a callable"),
    ("error_response", 404, "a callable, or None"),
    ("methods_with_bodies", 3, "a collection of method names"),
    ("query_string_encoding", "no-such", "the name of a charset"),
    ("query_string_encoding", None, "the name of a charset"),
    ("uri_encoding", "no-such", "the name of a charset"),
    ("throws", [KeyError], "a class of exceptions, or a tuple of them"),
    ("throws", (KeyError, "x"), "a class of exceptions, or a tuple of them"),
    ("query_separators", "|", "'&' or '&;'"),
    ("body.attempt_charsets", "utf-8", "a list of names of charsets"),
    ("body.attempt_charsets", ["utf-8", "no-such"], "a list of names of charsets"),
    ("body.bufsize", 0, "a whole number of at least 1"),
    ("body.default_proc", "x", "a callable"),
    ("body.maxbytes", "1000", "a number of bytes, or None"),
    ("body.maxrambytes", "1000", "a whole number of at least 0, or None"),
    ("body.max_parts", "1000", "a whole number of at least 1, or None"),
    ("body.part_class", "Part", "a class of parts, with from_fp"),
    ("body.processors", {"a/b": "x"}, "{content type: function(entity)}"),
    ("body.processors", ["a/b"], "{content type: function(entity)}"),
]


class Page:
    """One page."""

    @cherrypy.expose
    def index(self) -> str:
        return "fine"


@pytest.mark.parametrize(("key", "value", "allowed"), WRONG)
def test_a_wrong_value_is_named(key: str, value: Any, allowed: str) -> None:
    """The error has all that is needed to mend it."""
    with pytest.raises(ValueError, match="must be") as caught:
        check(key, value)

    assert f"request.{key} " in str(caught.value)
    assert repr(value) in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(("key", "value", "allowed"), WRONG)
def test_a_wrong_value_is_the_servers_error(site: Any, key: str, value: Any, allowed: str) -> None:
    """Of every request for the path, with or without a body."""
    site.mount(Page(), config={"/": {f"request.{key}": value}})
    reply = site("/")

    assert reply.status == 500
    assert f"request.{key} must be".encode() in reply.body


def test_every_check_refuses_something() -> None:
    """None is there for show."""
    assert set(CHECKS) <= {key for key, _, _ in WRONG}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("error_response", None),
        ("error_response", cherrypy.HTTPError(503).set_response),
        ("methods_with_bodies", ["POST"]),
        ("methods_with_bodies", "POST"),
        ("query_string_encoding", "latin-1"),
        ("throws", KeyError),
        ("throws", (KeyError, (ValueError,))),
        ("body.attempt_charsets", ("utf-8",)),
        ("body.maxbytes", None),
        ("body.maxbytes", 1e6),
        ("body.maxrambytes", 0),
        ("body.max_files", None),
        ("body.processors", {}),
        ("show_tracebacks", "no"),
        ("my_own", object()),
        ("body.my_own", object()),
    ],
)
def test_what_works_elsewhere_is_taken(site: Any, key: str, value: Any) -> None:
    """Also attributes of the application's own, in silence."""
    site.mount(Page(), config={"/": {f"request.{key}": value}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        assert site("/").body == b"fine"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("show_traceback", "request.show_tracebacks"),
        ("methods_with_body", "request.methods_with_bodies"),
        ("body.max_part", "request.body.max_parts"),
        ("body.maxrambyte", "request.body.maxrambytes"),
    ],
)
def test_a_key_that_looks_misspelt_is_said_once(site: Any, key: str, meant: str) -> None:
    """With the name that was probably meant; it lands all the same."""
    _warned.discard(f"request.{key}")
    site.mount(Page(), config={"/": {f"request.{key}": 1}})

    with pytest.warns(UnknownKeyWarning, match=rf"'request\.{key}'; did you mean {meant}\?"):
        site("/")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert site("/").status == 200
