"""The keys of the namespaces ``request``, ``response``, ``hooks`` and ``error_page``, at every level."""

from __future__ import annotations

import abc
from typing import Any

import pytest

import cherrypy
from cherrypy.conf.ini import NamespaceSet
from cherrypy.core.hooks import Hook
from cherrypy.core.request import Request


def tell(*args: Any, **kwargs: Any) -> str:
    """Stand for a page."""
    return "page"


class Root:
    """A page that shows attributes of request and response, and one that fails."""

    @cherrypy.expose
    def index(self, name: str = "show_tracebacks") -> str:
        owner = cherrypy.response if name.startswith("response.") else cherrypy.request
        return repr(getattr(owner, name.rpartition(".")[2], "none"))

    @cherrypy.expose
    def fail(self) -> None:
        raise KeyError("failed")

    @cherrypy.expose
    def take(self) -> str:
        return f"{cherrypy.request.body.maxbytes} {cherrypy.request.body.attempt_charsets}"


def answer(site: Any, config: dict[str, Any], target: str = "/", **options: Any) -> Any:
    """Return the answer of an application with *config* at '/'."""
    site.mount(Root(), config={"/": config})
    return site(target, **options)


# request.*


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("show_tracebacks", False),
        ("show_mismatched_params", False),
        ("throw_errors", True),
        ("throws", (KeyboardInterrupt,)),
        ("process_request_body", False),
        ("methods_with_bodies", ("POST", "PATCH")),
        ("query_string_encoding", "latin-1"),
        ("anything_else", 5),
    ],
)
def test_request_keys_are_attributes(site: Any, key: str, value: Any) -> None:
    """Any name: pages and tools keep theirs there."""
    assert answer(site, {f"request.{key}": value}, f"/?name={key}").body.decode() == repr(value)


DEFAULTS = {
    "show_tracebacks": True,
    "show_mismatched_params": True,
    "throw_errors": False,
    "methods_with_bodies": ("POST", "PUT", "PATCH"),
    "query_string_encoding": "utf8",
    "scheme": "http",
    "server_protocol": "HTTP/1.1",
    "login": None,
    "prev": None,
    "closed": False,
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_of_a_request(site: Any, name: str) -> None:
    """Those that the manual lists."""
    assert answer(site, {}, f"/?name={name}").body.decode() == repr(DEFAULTS[name])


def test_query_string_encoding(site: Any) -> None:
    """Decides how the query is read."""
    assert answer(site, {}, "/?name=%E9").status == 404
    assert answer(site, {"request.query_string_encoding": "latin-1"}, "/?name=%E9").status == 200


def test_show_tracebacks(site: Any) -> None:
    """Decides whether the client sees them."""
    assert b"KeyError" in answer(site, {}, "/fail").body
    assert b"KeyError" not in answer(site, {"request.show_tracebacks": False}, "/fail").body


def test_error_response(site: Any) -> None:
    """Answers unexpected errors: any callable; None leaves the response as it is."""

    def own() -> None:
        cherrypy.response.status = 503
        cherrypy.response.body = b"own"

    replaced = answer(site, {"request.error_response": own}, "/fail")
    later = answer(site, {"request.error_response": cherrypy.HTTPError(503).set_response}, "/fail")
    nothing = answer(site, {"request.error_response": None}, "/fail")

    assert (replaced.status, replaced.body) == (503, b"own")
    assert replaced.headers["Content-Type"] == "text/html"
    assert later.status == 503
    assert (nothing.status, nothing.body) == (200, b"")


def test_keys_of_the_body(site: Any) -> None:
    """``request.body.NAME``, before it is read."""
    site.mount(Root(), config={"/": {"request.body.maxbytes": 5, "request.body.attempt_charsets": ["latin-1"]}})

    assert site("/take", "POST", {"Content-Type": "text/plain"}, b"12345").body == b"5 ['latin-1']"
    assert site("/take", "POST", {"Content-Type": "text/plain"}, b"123456").status == 413


# response.*


def test_response_keys(site: Any) -> None:
    """Headers by their name in any case, other names as attributes."""
    config = {
        "response.headers.X-Own": "own",
        "response.headers.content-type": "text/plain",
        "response.status": "202 Taken",
        "response.mine": 5,
    }

    reply = answer(site, config, "/?name=response.mine")

    assert (reply.status, reply.body) == (202, b"5")
    assert reply.headers["X-Own"] == "own"
    assert reply.headers["Content-Type"] == "text/plain;charset=utf-8"


def test_a_page_may_be_streamed_by_configuration(site: Any) -> None:
    """``response.stream``: then no length is known beforehand."""
    assert "Content-Length" in answer(site, {}).headers
    assert "Content-Length" not in answer(site, {"response.stream": True}).headers


# hooks.*


def test_hooks_are_attached_by_configuration(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a callable, as a Hook with arguments, by a dotted name; several of a point by different endings."""
    said: list[str] = []
    monkeypatch.setattr(cherrypy, "_test_hook", lambda: said.append("dotted"), raising=False)

    answer(
        site,
        {
            "hooks.before_handler": lambda: said.append("callable"),
            "hooks.before_handler.1": Hook(lambda word: said.append(word), priority=10, word="early"),
            "hooks.on_end_request.any": "cherrypy._test_hook",
        },
    )

    assert said == ["early", "callable", "dotted"]


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (
            "hooks.before_lunch",
            tell,
            "there is no hook point 'before_lunch'; there are on_start_resource, ",
        ),
        ("hooks.before_handler", "no.such.hook", "hooks.before_handler is 'no.such.hook', which names nothing"),
        ("hooks.before_handler.2", "os.absent", "hooks.before_handler.2 is 'os.absent', which names nothing"),
        ("hooks.before_handler", 5, "hooks.before_handler is 5; a hook is callable, or the dotted name of what is"),
        ("error_page.lost", tell, "error_page.lost: an error page is for a status code, such as 404, or 'default'"),
        ("error_page.404.x", tell, "error_page.404.x: an error page is for a status code"),
        ("tools.gzip", True, "A tool's configuration key needs an argument"),
        ("tools.gzipp.on", True, "has no tool 'gzipp'"),
    ],
)
def test_a_key_that_cannot_be_meant_is_named(site: Any, key: str, value: Any, error: str) -> None:
    """With what is allowed; at every request, until it is put right."""
    for _ in range(2):
        reply = answer(site, {key: value})

        assert reply.status == 500
        assert error in reply.body.decode().replace("&#x27;", "'")


def test_error_pages_by_code_and_default(site: Any) -> None:
    """The longer match is the code."""
    config = {"error_page.404": lambda **kwargs: "lost", "error_page.default": lambda **kwargs: "broken"}

    assert answer(site, config, "/absent").body.rstrip() == b"lost"
    assert answer(site, config, "/fail").body.rstrip() == b"broken"


# levels


def test_every_level_may_set_a_key_and_the_nearer_wins(site: Any) -> None:
    """Site, root object, '/', node, section of the path, page; also taken away again while the site runs."""

    class Node:
        @cherrypy.expose
        def page(self) -> str:
            return str(cherrypy.request.level)

    class Top:
        node = Node()

    levels: list[tuple[str, Any]] = []
    page: Any = Node.page
    app = site.mount(Top(), config={"/": {}, "/node": {}, "/node/page": {}})

    def ask() -> str:
        return str(site("/node/page").body.decode())

    cherrypy.config["request.level"] = "site"
    levels.append(("site", ask()))
    Top._cp_config = {"request.level": "root"}  # type: ignore[attr-defined]
    levels.append(("root", ask()))
    app.config["/"]["request.level"] = "slash"
    levels.append(("slash", ask()))
    Node._cp_config = {"request.level": "node"}  # type: ignore[attr-defined]
    levels.append(("node", ask()))
    app.config["/node"]["request.level"] = "section"
    levels.append(("section", ask()))
    page._cp_config = {"request.level": "page"}
    levels.append(("page", ask()))
    app.config["/node/page"]["request.level"] = "page section"
    levels.append(("page section", ask()))
    del app.config["/node/page"], page._cp_config, app.config["/node"], Node._cp_config  # type: ignore[attr-defined]
    levels.append(("slash", ask()))

    assert all(expected == found for expected, found in levels), levels


def test_default_has_a_configuration_of_its_own(site: Any) -> None:
    """Over that of its node and of the sections on the path."""

    class Node:
        _cp_config = {"request.level": "node"}

        @cherrypy.expose
        @cherrypy.config(**{"request.level": "default"})
        def default(self, *args: str) -> str:
            return str(cherrypy.request.level)

    site.mount(type("Top", (), {"node": Node()})(), config={"/node": {"request.level": "section"}})

    assert site("/node/x").body == b"default"


def test_a_dispatcher_without_a_configuration_gets_the_applications(site: Any) -> None:
    """Tools that are on everywhere, and what '/' says."""

    def dispatch(path_info: str) -> None:
        cherrypy.serving.request.handler = lambda: f"t\u00ebxt {path_info}"

    reply = answer(site, {"request.dispatch": dispatch, "response.headers.X-Own": "own"}, "/any/path")

    assert (reply.status, reply.body.decode()) == (200, "t\u00ebxt /any/path")
    assert reply.headers["X-Own"] == "own"


@pytest.mark.parametrize("dispatch", [5, None, "cherrypy.dispatch.Dispatcher"])
def test_a_dispatcher_is_callable(site: Any, dispatch: Any) -> None:
    """Or every page of the section answers 500."""
    assert answer(site, {"request.dispatch": dispatch}).status == 500


# namespaces of an application's own


def ask_thrice(site: Any) -> list[int]:
    """Ask for the page until every memory of it is in use."""
    return [site("/").status for _ in range(3)]


def test_a_namespace_added_to_the_class_after_requests_is_seen(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set of the framework, one of a subclass, and one that takes its place."""
    told: list[Any] = []

    class Own(Request):
        namespaces = NamespaceSet(Request.namespaces)  # type: ignore[assignment]

    app = site.mount(Root(), config={"/": {"mine.a": 1}})
    ask_thrice(site)
    monkeypatch.setitem(Request.namespaces, "mine", lambda key, value: told.append(("base", key, value)))
    ask_thrice(site)
    assert told == [("base", "a", 1)] * 3

    monkeypatch.undo()
    ask_thrice(site)
    app.request_class = Own
    ask_thrice(site)
    assert len(told) == 3
    app.request_class.namespaces["mine"] = lambda key, value: told.append(("own", key, value))
    ask_thrice(site)
    app.request_class.namespaces = NamespaceSet(
        {**Request.namespaces, "mine": lambda key, value: told.append(("exchanged", key, value))}
    )
    ask_thrice(site)

    assert told[3:] == [("own", "a", 1)] * 3 + [("exchanged", "a", 1)] * 3


def test_class_attributes_assigned_late_are_seen(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks of the class, for example: a plan has a copy of them."""
    said: list[str] = []
    site.mount(Root())
    ask_thrice(site)
    hooks = Request.hooks.copy()
    hooks.attach("before_handler", lambda: said.append("late"))

    monkeypatch.setattr(Request, "hooks", hooks)
    ask_thrice(site)
    monkeypatch.undo()
    ask_thrice(site)

    assert said == ["late"] * 3


def test_request_classes_may_be_mixed_with_abstract_ones(site: Any) -> None:
    """Requests know when their class changes; that is in nobody's way."""

    class Abstract(abc.ABC):
        @abc.abstractmethod
        def needed(self) -> None: ...

    class Mixed(Request, Abstract):
        def needed(self) -> None:
            """Do what is needed."""

    app = site.mount(Root())
    app.request_class = Mixed

    assert ask_thrice(site) == [200, 200, 200]


def test_a_context_manager_as_namespace_is_entered_for_each_request(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And left, whether there are keys or not."""
    told: list[Any] = []

    class Managed:
        def __enter__(self) -> Any:
            told.append("enter")
            return lambda key, value: told.append((key, value))

        def __exit__(self, *error: object) -> None:
            told.append("exit")

    monkeypatch.setitem(Request.namespaces, "mine", Managed())
    app = site.mount(Root(), config={"/": {"mine.a": 1}})
    site("/")
    del app.config["/"]["mine.a"]
    site("/")

    assert told == ["enter", ("a", 1), "exit", "enter", "exit"]
