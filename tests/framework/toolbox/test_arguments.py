"""Tools that are configured wrongly say so, by the key."""

from __future__ import annotations

import datetime
import functools
import inspect
import logging
import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy.lib import caching, xmlrpcutil
from cherrypy.toolbox import tool
from cherrypy.toolbox.arguments import CHECKS, find_error, nearest, odd_arguments
from cherrypy.toolbox.tool import HandlerTool, HandlerWrapperTool, Tool, Toolbox


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a cache of its own."""
    monkeypatch.setattr(caching._Current, "cache", None)


@pytest.fixture
def ask(site: Any, page: Callable[..., Any]) -> Callable[[dict[str, Any]], Any]:
    """Ask a page with these settings."""

    def ask(settings: dict[str, Any]) -> Any:
        site.tree.apps.clear()
        site.mount(page(lambda **params: "text"), config={"/": {"request.show_tracebacks": True, **settings}})
        return site("/")

    return ask


def test_a_misspelt_argument_is_named_with_its_key(ask: Callable[..., Any]) -> None:
    """And with what was probably meant, and all that there is."""
    answer = ask({"tools.gzip.on": True, "tools.gzip.compres_level": 9})
    text = answer.body.decode()

    assert answer.status == 500
    assert "tools.gzip.compres_level" in text
    assert "Did you mean 'compress_level'?" in text
    assert "mime_types, debug" in text


def test_a_missing_argument_is_named_with_its_key(ask: Callable[..., Any]) -> None:
    """All of them."""
    assert b"tools.staticdir.section and tools.staticdir.dir: missing" in ask({"tools.staticdir.on": True}).body
    assert b"tools.referer.pattern: missing" in ask({"tools.referer.on": True}).body


def test_python_s_own_words_are_the_cause(ask: Callable[..., Any]) -> None:
    """COMPAT: pages with tracebacks have always shown them."""
    body = ask({"tools.staticdir.on": True}).body

    assert b"TypeError: staticdir() missing 2 required positional arguments" in body
    assert b"got an unexpected keyword argument" in ask({"tools.expires.on": True, "tools.expires.x": 1}).body


def test_a_wrapper_may_take_more_than_what_it_wraps(site: Any, page: Callable[..., Any]) -> None:
    """COMPAT: what counts is what is called."""
    seen: list[Any] = []

    def inner(one: int) -> None:
        seen.append(one)

    @functools.wraps(inner)
    def outer(**settings: Any) -> None:
        inner(settings.pop("two") * 2)

    box = Toolbox("mine")
    box.doubled = Tool("before_handler", outer)
    site.mount(page(lambda: ""), config={"/": {"mine.doubled.on": True, "mine.doubled.two": 2}}).toolboxes["mine"] = box

    assert site("/").status == 200
    assert seen == [4]


WRONG = {
    "accept.media": [3],
    "allow.methods": [3, [1]],
    "auth_basic.checkpassword": [{"user": "password"}],
    "auth_digest.get_ha1": ["x"],
    "autovary.ignore": [3],
    "caching.delay": ["600"],
    "caching.antistampede_timeout": ["5"],
    "caching.cache_class": ["MemoryCache"],
    "decode.encoding": ["no-such"],
    "decode.default_encoding": [["utf-8", "no-such"]],
    "encode.encoding": ["no-such", 3],
    "encode.errors": ["no-such"],
    "expires.secs": ["60", None],
    "gzip.compress_level": ["high", 10, -2, 1.5, None],
    "gzip.mime_types": [3, [b"text/html"]],
    "ignore_headers.headers": [None, [1]],
    "json_in.content_type": [None],
    "json_in.processor": ["x"],
    "json_in.decoder": ["x"],
    "json_out.content_type": [3],
    "json_out.handler": [None],
    "json_out.encoder": ["x"],
    "log_tracebacks.severity": ["ERROR"],
    "params.exception": ["ValueError", [ValueError]],
    "params.error": [200, "x", None],
    "proxy.base": [3],
    "proxy.local": [True],
    "proxy.trusted": ["no address", ["10.0.0.0/99"], 3],
    "redirect.url": [None],
    "referer.pattern": ["(", None],
    "referer.error": [200],
    "response_headers.headers": ["X-A: b", [("X-A",)], 3],
    "staticdir.dir": [None, 3],
    "staticdir.match": ["("],
    "staticdir.content_types": [["a"]],
    "staticfile.filename": [None],
    "staticfile.root": [3],
    "trailing_slash.status": [200, "x"],
    "xmlrpc.encoding": ["no-such"],
}
RIGHT = {
    "accept.media": [None, "text/html", ["text/html"], ("text/html",)],
    "allow.methods": [None, "GET", ["GET"], {"GET"}, {"GET": 1}],
    "caching.delay": [600, 0.5],
    "caching.antistampede_timeout": [None, 5],
    "encode.encoding": [None, "latin-1"],
    "encode.errors": ["replace", "xmlcharrefreplace"],
    "expires.secs": [0, 0.5, datetime.timedelta(1), True],
    "gzip.compress_level": [0, 1, 9, -1, True],
    "gzip.mime_types": ["text/html", ["text/*"], {"text/html"}],
    "log_tracebacks.severity": [40, logging.INFO],
    "params.exception": [ValueError, (ValueError, TypeError)],
    "params.error": [404, "404 Not here"],
    "proxy.trusted": [None, "10.0.0.1", ["10.0.0.0/8", "unix:"]],
    "referer.pattern": ["http://", r"https?://\w+"],
    "response_headers.headers": [None, [("X-A", "b")], [["X-A", "b"]], {"X-A": "b"}, ()],
    "staticdir.dir": ["/tmp", pathlib.Path("/tmp")],
    "staticdir.match": ["", None, r"\.css$"],
    "staticdir.content_types": [None, {}, {"css": "text/css"}],
    "trailing_slash.status": [None, 0, 301, "308"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_a_value_that_cannot_work_is_named_with_its_key(key: str, value: Any) -> None:
    """And with what is allowed."""
    kind, _, name = key.partition(".")
    error = find_error(getattr(cherrypy.tools, kind).callable, f"tools.{kind}.", {name: value}, whole=False)

    assert error is not None
    assert error.key == f"tools.{key}"
    assert str(error).startswith(f"tools.{key} = ")
    assert "it has to be" in str(error)


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in RIGHT.items() for value in values])
def test_a_value_that_works_is_taken(key: str, value: Any) -> None:
    """In every shape that CherryPy takes."""
    kind, _, name = key.partition(".")

    assert find_error(getattr(cherrypy.tools, kind).callable, f"tools.{kind}.", {name: value}, whole=False) is None


def test_the_tables_name_arguments_that_exist() -> None:
    """A renamed argument must not lose its check."""
    free = {caching.get: {*vars(caching.MemoryCache), "cache_class"}, xmlrpcutil.on_error: {"encoding"}}
    known = {
        function: {*inspect.signature(function).parameters, *vars(function), *free.get(function, ())}
        for function in CHECKS
    }

    assert all(checks.keys() <= known[function] for function, checks in CHECKS.items())
    assert set(CHECKS) <= {one.callable for one in vars(cherrypy.tools).values() if isinstance(one, Tool)}


def test_a_pattern_may_be_compiled() -> None:
    """As ``re.search`` takes it."""
    assert find_error(cherrypy.tools.referer.callable, "tools.referer.", {"pattern": re.compile("a")}) is None


def test_the_error_is_of_both_kinds() -> None:
    """TypeError, as Python has it for unknown arguments, and ValueError; with the key as data."""
    error = find_error(cherrypy.tools.gzip.callable, "tools.gzip.", {"level": 1})

    assert isinstance(error, TypeError)
    assert isinstance(error, ValueError)
    assert error.key == "tools.gzip.level"


@pytest.mark.parametrize("value", ["high", [50], object()])
def test_a_priority_is_a_number(ask: Callable[..., Any], value: Any) -> None:
    """Others cannot be sorted among those of other tools."""
    answer = ask({"tools.expires.on": True, "tools.expires.priority": value})

    assert answer.status == 500
    assert b"tools.expires.priority = " in answer.body


def test_a_tool_for_errors_does_not_break_good_pages(ask: Callable[..., Any]) -> None:
    """COMPAT: refused is what would have failed, when it would have failed."""
    for key in ("log_tracebacks.sevrity", "err_redirect.urrl", "log_hooks.x"):
        kind = key.partition(".")[0]
        assert ask({f"tools.{kind}.on": True, f"tools.{key}": 1}).status == 200


def test_an_error_tool_that_cannot_work_says_so(site: Any, page: Callable[..., Any]) -> None:
    """At the error that it was made for."""

    def fail() -> str:
        raise RuntimeError

    config = {"tools.err_redirect.on": True, "tools.err_redirect.urrl": "/", "request.show_tracebacks": True}
    site.mount(page(fail), config={"/": config})
    answer = site("/")

    assert answer.status == 500
    assert b"tools.err_redirect.urrl" in answer.body


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tools.caching.on": True, "tools.caching.dely": 5}, "Did you mean 'delay'?"),
        ({"tools.encode.encodng": "utf-8"}, "Did you mean 'encoding'?"),
    ],
)
def test_an_attribute_without_meaning_is_told_to_the_log(
    ask: Callable[..., Any], caplog: pytest.LogCaptureFixture, settings: dict[str, Any], sentence: str
) -> None:
    """Once; these tools have always taken everything in silence."""
    tool._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        statuses = [ask({"tools.encode.on": True, **settings}).status for _ in range(2)]

    assert statuses == [200, 200]
    assert caplog.text.count(sentence) == 1


def test_a_cache_of_one_s_own_may_have_any_attribute() -> None:
    """Nobody here knows them."""
    conf = {"cache_class": dict, "prefix": "x"}

    assert odd_arguments(caching.get, "tools.caching.", conf) == []
    assert odd_arguments(print, "tools.other.", {"x": 1}) == []


def test_tools_of_applications_are_checked_by_their_signatures(site: Any, page: Callable[..., Any]) -> None:
    """Functions, methods, objects; wrappers and callables that take everything take everything."""

    class Thing:
        def __call__(self, one: int, two: int = 2) -> None:
            pass

    assert "mine.thing.three" in str(find_error(Thing(), "mine.thing.", {"one": 1, "three": 3}))
    assert "mine.thing.one: missing" in str(find_error(Thing(), "mine.thing.", {}))
    assert find_error(Thing(), "mine.thing.", {"one": "anything", "on": True, "priority": 5}) is None
    assert find_error(lambda **settings: None, "mine.thing.", {"x": 1}) is None
    assert find_error(HandlerWrapperTool(print).callable, "mine.thing.", {"x": 1}) is None
    # written in C, without a signature
    assert find_error(min, "mine.thing.", {"x": 1}) is None
    assert find_error(type("Unhashable", (), {"__hash__": None, "__call__": lambda self: None})(), "m.", {}) is None


def test_a_handler_tool_is_checked_too(site: Any, page: Callable[..., Any]) -> None:
    """It has its own way to hook in."""
    box = Toolbox("mine")
    box.answer = HandlerTool(lambda text=b"": False)
    app = site.mount(page(lambda: "page"), config={"/": {"mine.answer.on": True, "mine.answer.txt": b"x"}})
    app.toolboxes["mine"] = box

    answer = site("/")

    assert answer.status == 500
    assert b"mine.answer.txt" in answer.body


def test_an_unknown_tool_is_named_with_its_likeness(ask: Callable[..., Any]) -> None:
    """A typo is the usual reason."""
    answer = ask({"tools.gzipp.on": True})

    assert answer.status == 500
    assert b"'tools' has no tool 'gzipp'. Did you mean 'gzip'?" in answer.body
    assert nearest("zzz", ["gzip"]) == ""


def test_a_box_finds_the_problems_of_a_section() -> None:
    """Of its own namespace; what is missing may stand in another section."""
    config = {
        "tools.gzip.on": True,
        "tools.gzip.level": 9,
        "tools.expires.secs": "60",
        "tools.encode.encodng": "utf-8",
        "tools.staticdir.on": True,
        "tools.nothing.on": True,
        "other.gzip.level": 9,
        "tools": 1,
    }
    found = cherrypy.tools.problems(config)

    assert [one.partition(" ")[0].strip(":") for one in found] == [
        "tools.gzip.level",
        "tools.expires.secs",
        "tools.encode.encodng",
    ]
    assert cherrypy.tools.problems(dict(cherrypy.config)) == []


def test_a_tool_that_sets_itself_up_has_no_problems_from_outside() -> None:
    """COMPAT: it may take away arguments that its callable does not know."""

    class Picky(Tool):
        def _setup(self) -> None:
            conf = self._merged_args()
            conf.pop("own")
            cherrypy.request.hooks.attach("before_handler", self.callable, **conf)

    box = Toolbox("mine")
    box.picky = Picky("before_handler", lambda: None)

    assert box.problems({"mine.picky.own": 1}) == []


def test_a_wrapper_of_a_subclass_may_add_arguments(site: Any, page: Callable[..., Any]) -> None:
    """COMPAT: what is configured is then not all that the callable gets."""

    class Timed(HandlerTool):
        def _wrapper(self, limit: int = 0, **settings: Any) -> None:
            if self.callable(path=cherrypy.request.path_info, **settings):
                cherrypy.request.handler = None

    def answer(path: str, mark: str) -> bool:
        cherrypy.response.body = f"{path}{mark}".encode()
        return True

    box = Toolbox("mine")
    box.answer = Timed(answer)
    config = {"mine.answer.on": True, "mine.answer.mark": "!", "mine.answer.limit": 3}
    site.mount(page(lambda: "page"), config={"/": config}).toolboxes["mine"] = box

    assert site("/").body == b"/!"
