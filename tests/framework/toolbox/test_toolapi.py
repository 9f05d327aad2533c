"""The parts that applications build tools of: classes, boxes, decorators, as they are documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import cherrypy
from cherrypy._cptools import ErrorTool, HandlerTool, HandlerWrapperTool, Tool, Toolbox


@pytest.fixture
def box() -> Any:
    """An empty toolbox."""
    return Toolbox("mine")


@pytest.fixture
def mount(site: Any, page: Callable[..., Any], box: Any) -> Callable[..., Any]:
    """Mount a page with this configuration; returns the application."""

    def mount(config: dict[str, Any], root: Any = None) -> Any:
        app = site.mount(root or page(lambda **params: "page"), config={"/": config})
        app.toolboxes["mine"] = box
        return app

    return mount


def sample(one: int, two: int = 2, *more: int, three: int = 3, **rest: Any) -> None:
    """Say what it is for."""


class Thing:
    """Callables of other kinds."""

    def method(self, one: int) -> None:
        """Take one."""

    def __call__(self, two: int) -> None:
        """Take two."""


@pytest.mark.parametrize(
    ("function", "names"),
    [(sample, {"one", "two"}), (Thing().method, {"one"}), (Thing(), {"two"}), (print, set()), (lambda: None, set())],
)
def test_a_tool_shows_its_arguments(function: Any, names: set[str]) -> None:
    """One attribute each, None; for editors and help()."""
    tool = Tool("before_handler", function)

    assert {name for name, value in vars(tool).items() if value is None} - {"_name", "__doc__"} == names
    assert tool.__doc__ == function.__doc__


def test_the_parts_of_a_tool() -> None:
    """Defaults and given ones."""
    plain, given = Tool("before_handler", sample), Tool("before_finalize", sample, "name", 7)

    assert (plain._point, plain.callable, plain._name, plain._priority) == ("before_handler", sample, None, 50)
    assert (given._point, given._name, given._priority, given.namespace) == ("before_finalize", "name", 7, "tools")


def test_the_parts_of_the_other_tools() -> None:
    """Where each hooks in."""
    handler, error = HandlerTool(sample, "h"), ErrorTool(sample, "e")
    wrapper = HandlerWrapperTool(sample)
    late = HandlerWrapperTool(sample, point="before_request_body", name="w", priority=9)

    assert (handler._point, handler._name, error._point, error._name) == ("before_handler", "h", None, "e")
    assert (wrapper._point, wrapper._name, wrapper._priority) == ("before_handler", None, 50)
    assert (late._point, late._name, late._priority, late.newhandler) == ("before_request_body", "w", 9, sample)


def test_the_first_name_stays(box: Any) -> None:
    """A tool may be in a box under two names."""
    box.first = tool = Tool("before_handler", sample)
    box.second = tool

    assert (box.second._name, box.second.namespace) == ("first", "mine")


def test_a_decorator_is_the_configuration_of_what_it_decorates(box: Any) -> None:
    """Functions, classes, several times; ``on`` can be taken back."""
    box.tool = Tool("before_handler", sample)

    @box.tool(one=1)
    @box.tool(one=0, two=3)
    def page() -> None:
        pass

    @box.tool(on=False)
    class Page:
        pass

    assert page._cp_config == {"mine.tool.on": True, "mine.tool.one": 1, "mine.tool.two": 3}
    assert Page._cp_config == {"mine.tool.on": False}  # type: ignore[attr-defined]


def test_register_takes_what_a_tool_takes(box: Any) -> None:
    """The function's name if none is given."""
    box.register("before_handler")(sample)
    box.register("before_finalize", name="other", priority=7)(sample)

    assert (box.sample._name, box.sample._point, box.sample._priority) == ("sample", "before_handler", 50)
    assert (box.other._name, box.other._point, box.other._priority) == ("other", "before_finalize", 7)
    with pytest.raises(TypeError):
        box.register("before_handler", priorty=7)(sample)


def test_a_box_may_hold_other_things(box: Any) -> None:
    """They are no tools."""
    box.number = 3

    assert box.number == 3
    with pytest.raises(AttributeError, match="has no tool 'absent'"):
        _ = box.absent


def test_merged_arguments_are_those_of_the_request(site: Any, box: Any, mount: Callable[..., Any]) -> None:
    """Over the given ones, without ``on``; none outside of a request's configuration."""
    seen: list[dict[str, Any]] = []
    box.tool = Tool("before_handler", lambda **settings: seen.append(box.tool._merged_args({"a": 0, "b": 1})))
    mount({"mine.tool.on": True, "mine.tool.a": 5})
    site("/")

    assert seen == [{"a": 5, "b": 1}]


def test_a_subclass_may_hook_in_at_more_points(site: Any, box: Any, mount: Callable[..., Any]) -> None:
    """The way of nearly every database tool: ``Tool._setup``, and more hooks."""
    seen: list[Any] = []

    class Session(Tool):
        def __init__(self) -> None:
            Tool.__init__(self, "on_start_resource", self.begin, priority=20)

        def _setup(self) -> None:
            Tool._setup(self)
            cherrypy.request.hooks.attach("on_end_resource", self.commit, priority=80)

        def begin(self, url: str = "") -> None:
            """Open."""
            seen.append(("begin", url))

        def commit(self) -> None:
            """Close."""
            seen.append("commit")

    box.session = Session()
    mount({"mine.session.on": True, "mine.session.url": "db"})
    site("/")
    site("/")

    assert seen == [("begin", "db"), "commit"] * 2


def test_a_handler_takes_both_kinds_of_arguments(site: Any, box: Any, mount: Callable[..., Any]) -> None:
    """Positional ones as given, keywords under the configuration; not those of the request."""

    def answer(*args: Any, **settings: Any) -> bool:
        cherrypy.response.body = repr((args, sorted(settings.items()))).encode()
        return True

    box.answer = HandlerTool(answer)
    root = type("Root", (), {"index": box.answer.handler(1, 2, x=3, y=4)})()
    mount({"mine.answer.y": 5, "mine.answer.z": 6}, root)

    assert site("/?q=1").body == b"((1, 2), [('x', 3), ('y', 5), ('z', 6)])"


def test_wrappers_stand_in_the_order_of_their_priorities(site: Any, box: Any, mount: Callable[..., Any]) -> None:
    """The last one is outermost; each gets the page's arguments by way of the next."""

    def wrap(mark: str) -> Any:
        return lambda next_handler, *args, **params: mark + next_handler(*args, **params) + mark

    box.inner, box.outer = HandlerWrapperTool(wrap("-"), priority=10), HandlerWrapperTool(wrap("="), priority=20)

    class Root:
        @cherrypy.expose
        def page(self, one: str, two: str) -> str:
            return one + two

    mount({"mine.outer.on": True, "mine.inner.on": True}, Root())

    assert site("/page/1?two=2").body == b"=-12-="


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        ({}, ["early", "late"]),
        ({"mine.late.priority": 1}, ["late", "early"]),
        ({"mine.early.priority": 99}, ["late", "early"]),
    ],
)
def test_priorities_decide_the_order(
    site: Any, box: Any, mount: Callable[..., Any], settings: dict[str, int], order: list[str]
) -> None:
    """The tool's own, or the configuration's."""
    seen: list[str] = []
    box.late = Tool("before_handler", lambda: seen.append("late"), priority=80)
    box.early = Tool("before_handler", lambda: seen.append("early"), priority=20)
    mount({"mine.late.on": True, "mine.early.on": True, **settings})
    site("/")

    assert seen == order


class Notes:
    """A namespace that is a context manager."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __enter__(self) -> Callable[[str, Any], None]:
        self.seen.append("enter")
        return lambda key, value: self.seen.append((key, value))

    def __exit__(self, *failure: Any) -> None:
        self.seen.append(failure)


def test_a_namespace_may_be_a_context_manager(site: Any, mount: Callable[..., Any]) -> None:
    """Entered for each request, also without keys; left when it has had them all."""
    with_keys, without = Notes(), Notes()
    app = mount({"with.a": 1, "with.b.c": 2})
    app.toolboxes.update({"with": with_keys, "without": without})
    site("/")

    assert with_keys.seen == ["enter", ("a", 1), ("b.c", 2), (None, None, None)]
    assert without.seen == ["enter", (None, None, None)]


def test_a_namespace_may_be_a_function(site: Any, mount: Callable[..., Any]) -> None:
    """Called with each key."""
    seen: list[Any] = []
    mount({"plain.a": 1, "plain.b.c": 2}).toolboxes["plain"] = lambda key, value: seen.append((key, value))
    site("/")

    assert seen == [("a", 1), ("b.c", 2)]


def test_a_key_without_an_argument_is_a_mistake(site: Any, box: Any, mount: Callable[..., Any]) -> None:
    """``tools.gzip = True`` turns nothing on: the error says what would."""
    box.tool = Tool("before_handler", sample)
    mount({"mine.tool": True, "request.show_tracebacks": True})

    assert b"'tool.on'" in site("/").body


def test_an_unknown_hook_point_is_named(site: Any, box: Any, mount: Callable[..., Any]) -> None:
    """With those that there are."""
    box.tool = Tool("before_everything", lambda: None)
    mount({"mine.tool.on": True, "request.show_tracebacks": True})
    body = site("/").body

    assert b"mine.tool: there is no hook point" in body
    assert b"before_finalize" in body


def test_a_tool_that_changes_is_changed_for_the_next_request(site: Any, box: Any, mount: Callable[..., Any]) -> None:
    """Although what a page needs is worked out once."""
    seen: list[str] = []
    box.tool = Tool("before_handler", lambda: seen.append("first"))
    mount({"mine.tool.on": True})
    site("/")
    box.tool.callable = lambda: seen.append("second")
    site("/")
    box.tool = Tool("before_handler", lambda: seen.append("third"))
    site("/")
    del box.tool

    assert seen == ["first", "second", "third"]
    assert site("/").status == 500


def test_a_tool_may_be_off_for_a_part_of_the_site(site: Any, box: Any, page: Callable[..., Any]) -> None:
    """The nearest section decides."""
    seen: list[str] = []
    box.tool = Tool("before_handler", lambda: seen.append(cherrypy.request.path_info))
    root = page(lambda: "")
    root.below = page(lambda: "")
    app = site.mount(root, config={"/": {"mine.tool.on": True}, "/below": {"mine.tool.on": False}})
    app.toolboxes["mine"] = box
    site("/")
    site("/below/")

    assert seen == ["/"]
