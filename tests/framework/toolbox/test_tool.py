"""Tools as configuration, as decorators, as handlers, as wrappers."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import cherrypy
from cherrypy._cptools import ErrorTool, HandlerTool, HandlerWrapperTool, Toolbox


@pytest.fixture
def box(site: Any) -> Any:
    """Give a toolbox whose namespace every application mounted through it knows."""
    return Toolbox("mine")


def mount(site: Any, box: Any, root: Any, config: Any = None) -> Any:
    """Mount *root* with *box*."""
    app = site.mount(root, config=config)
    app.toolboxes["mine"] = box
    return app


def decorated(**tools: Any) -> Any:
    """Return a root whose index is decorated with each tool called with its arguments."""

    class Root:
        @cherrypy.expose
        def index(self) -> str:
            return "page"

    for tool, arguments in tools.values():
        tool(**arguments)(Root.index)
    return Root()


def test_a_tool_is_named_by_its_box(box: Any) -> None:
    """Assignment gives name and namespace."""
    box.first = cherrypy.Tool("before_handler", lambda: None)

    assert (box.first._name, box.first.namespace) == ("first", "mine")


def test_a_tool_cannot_be_turned_on_in_itself(box: Any) -> None:
    """A common mistake."""
    box.first = cherrypy.Tool("before_handler", lambda: None)

    with pytest.raises(AttributeError):
        box.first.on = True
    with pytest.raises(AttributeError):
        box.first.on  # noqa: B018


def test_a_decorator_takes_keywords_only(box: Any) -> None:
    """Positional arguments have no key."""
    box.first = cherrypy.Tool("before_handler", lambda: None)

    with pytest.raises(TypeError, match="keyword"):
        box.first(1)


def test_a_decorated_class_does_not_write_into_its_base(box: Any) -> None:
    """Each class has a ``_cp_config`` of its own."""
    box.first = cherrypy.Tool("before_handler", lambda: None)

    class Base:
        _cp_config = {"x.y": 1}

    @box.first()
    class Derived(Base):
        pass

    assert Base._cp_config == {"x.y": 1}
    assert Derived._cp_config == {"x.y": 1, "mine.first.on": True}


def test_priorities(site: Any, box: Any) -> None:
    """The tool's, the callable's, the configuration's: the last wins; equal ones keep their order."""
    seen: list[str] = []

    def named(name: str, priority: int | None = None) -> Any:
        def callback() -> None:
            seen.append(name)

        if priority is not None:
            callback.priority = priority  # type: ignore[attr-defined]
        return callback

    box.late = cherrypy.Tool("before_handler", named("late"), priority=90)
    box.own = cherrypy.Tool("before_handler", named("own", 10), priority=99)
    box.configured = cherrypy.Tool("before_handler", named("configured", 70))
    box.plain = cherrypy.Tool("before_handler", named("plain"))
    root = decorated(a=(box.late, {}), b=(box.plain, {}), c=(box.own, {}), d=(box.configured, {"priority": 5}))
    mount(site, box, root)
    site("/")

    assert seen == ["configured", "own", "plain", "late"]


def test_a_failing_hook_lets_only_the_failsafe_ones_run(site: Any, box: Any) -> None:
    """In their order, and the error goes on."""
    seen: list[str] = []

    def fail() -> None:
        raise cherrypy.HTTPError(409)

    def safe() -> None:
        seen.append("safe")

    safe.failsafe = True  # type: ignore[attr-defined]
    box.fail = cherrypy.Tool("before_finalize", fail, priority=1)
    box.unsafe = cherrypy.Tool("before_finalize", lambda: seen.append("unsafe"), priority=2)
    box.safe = cherrypy.Tool("before_finalize", safe, priority=3)
    mount(site, box, decorated(a=(box.fail, {}), b=(box.unsafe, {}), c=(box.safe, {})))
    site("/")

    assert set(seen) == {"safe"}


def test_a_handler_tool_answers_in_place_of_the_page(site: Any, box: Any) -> None:
    """If it says that it did."""

    def maybe(answer: bool = True) -> bool:
        if answer:
            cherrypy.response.body = b"tool"
        return answer

    box.maybe = HandlerTool(maybe)
    mount(site, box, decorated(a=(box.maybe, {})))
    first = site("/").body
    site.tree.apps.clear()
    mount(site, box, decorated(a=(box.maybe, {"answer": False})))

    assert (first, site("/").body) == (b"tool", b"page")


def test_a_handler_tool_is_a_page(site: Any, box: Any) -> None:
    """404 if it does not answer."""

    def answer(text: bytes = b"") -> bool:
        cherrypy.response.body = text
        return bool(text)

    box.answer = HandlerTool(answer)
    mount(site, box, type("Root", (), {"full": box.answer.handler(text=b"x"), "empty": box.answer.handler()})())

    assert (site("/full").body, site("/empty").status) == (b"x", 404)


def test_a_wrapper_tool_stands_around_the_page(site: Any, box: Any) -> None:
    """It gets the next handler."""

    def shout(next_handler: Any, *args: Any, **kwargs: Any) -> str:
        return next_handler(*args, **kwargs).upper()  # type: ignore[no-any-return]

    box.shout = HandlerWrapperTool(shout)
    mount(site, box, decorated(a=(box.shout, {})))

    assert site("/").body == b"PAGE"


def test_an_error_tool_replaces_the_error_page(site: Any, box: Any) -> None:
    """For errors that nobody expected."""

    def sorry(word: str = "sorry") -> None:
        cherrypy.response.status = 503
        cherrypy.response.body = word.encode()

    box.sorry = ErrorTool(sorry)

    class Root:
        @cherrypy.expose
        @box.sorry(word="pardon")
        def index(self) -> str:
            raise RuntimeError

    mount(site, box, Root())
    reply = site("/")

    assert (reply.status, reply.body) == (503, b"pardon")


def test_register_makes_a_tool_of_a_function(site: Any, box: Any) -> None:
    """The function stays what it is."""

    @box.register("before_finalize", name="stamp", priority=60)
    def add_stamp(text: str = "x") -> None:
        cherrypy.response.headers["X-Stamp"] = text

    mount(site, box, decorated(a=(box.stamp, {"text": "y"})))

    assert (site("/").headers["X-Stamp"], box.stamp._priority, callable(add_stamp)) == ("y", 60, True)


def test_anything_with_a_setup_is_a_tool(site: Any, box: Any) -> None:
    """It is run for each request."""
    seen: list[str] = []

    class Other:
        def _setup(self) -> None:
            seen.append(cherrypy.request.path_info)

    box.other = Other()
    mount(site, box, decorated(), {"/": {"mine.other.on": True}})
    site("/")
    site("/")

    assert seen == ["/", "/"]


def test_an_unknown_tool_is_an_error(site: Any, box: Any) -> None:
    """A typo must not be silent."""
    mount(site, box, decorated(), {"/": {"mine.nothing.on": True}})

    assert site("/").status == 500


def test_every_documented_tool_is_there() -> None:
    """The default toolbox."""
    names = (
        "accept allow auth_basic auth_digest autovary caching decode encode err_redirect etags expires flatten gzip "
        "ignore_headers json_in json_out log_headers log_hooks log_tracebacks params proxy redirect referer "
        "response_headers session_auth sessions staticdir staticfile trailing_slash xmlrpc"
    )

    assert all(getattr(cherrypy.tools, name)._name == name for name in names.split())


def test_the_statistics_tool_comes_with_its_module() -> None:
    """tools.cpstats is absent until lib.cpstats is imported."""
    code = """
import cherrypy
assert not hasattr(cherrypy.tools, "cpstats")
import cherrypy.lib.cpstats
assert cherrypy.tools.cpstats is cherrypy.tools.cpstats
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
