"""Dispatch by the real ``routes`` package."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import cherrypy
from cherrypy.dispatch import RoutesDispatcher

pytest.importorskip("routes", reason="the package Routes is not installed")


class City:
    """A controller."""

    _cp_config = {"x.controller": "controller", "x.page": "controller"}

    def __init__(self, name: str = "any") -> None:
        self.name = name

    def index(self, **kwargs: str) -> str:
        return f"index {self.name} {sorted(kwargs.items())}"

    def show(self, id: str, **kwargs: str) -> str:
        return f"show {id} {sorted(kwargs.items())}"

    def config(self) -> str:
        conf = cherrypy.request.config
        return " ".join(str(conf.get(f"x.{key}")) for key in ("site", "root", "section", "controller", "page"))

    config._cp_config = {"x.page": "page"}  # type: ignore[attr-defined]

    def __call__(self, **kwargs: str) -> str:
        return f"called {sorted(kwargs.items())}"


def routed(site: Any, connect: Any, config: Any = None, **options: Any) -> Any:
    """Return *site* with the routes that *connect* makes."""
    dispatcher = RoutesDispatcher(**options)
    connect(dispatcher)
    site.mount(
        None, config={"/": {"request.dispatch": dispatcher, **(config or {})}, "/city": {"x.section": "section"}}
    )
    return site


def all_routes(dispatcher: Any) -> None:
    """Make the routes of the tests."""
    dispatcher.connect("main", "/", controller=City("main"), action="index")
    dispatcher.connect("show", "/city/{id}", controller=City(), action="show")
    dispatcher.connect("class", "/class/:id", controller=City, action="show")
    dispatcher.connect("config", "/city/1/config", controller=City(), action="config")
    dispatcher.connect("call", "/call", controller=City())
    dispatcher.connect("extra", "/extra", controller=City(), action="index", more="yes")
    dispatcher.connect("absent", "/absent", controller=City(), action="absent")
    dispatcher.connect("post", "/post", controller=City(), action="index", conditions={"method": ["POST"]})
    dispatcher.connect("any", "/any/{action}/{id}", controller=City())


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/", 200, b"index main []"),
        ("/?q=1", 200, b"index main [('q', '1')]"),
        ("/city/7", 200, b"show 7 []"),
        ("/city/7?q=1", 200, b"show 7 [('q', '1')]"),
        ("/city/%C3%A9", 200, "show \u00e9 []".encode()),
        ("/class/8", 200, b"show 8 []"),
        ("/extra", 200, b"index any [('more', 'yes')]"),
        ("/any/show/9", 200, b"show 9 []"),
        ("/absent", 404, None),
        ("/nowhere", 404, None),
        ("/city", 404, None),
    ],
)
def test_routes(site: Any, target: str, status: int, body: bytes | None) -> None:
    """Variables of the path become parameters; a controller may be an object or a class."""
    reply = routed(site, all_routes)(target)

    assert reply.status == status
    assert body is None or reply.body == body


def test_conditions_are_obeyed(site: Any) -> None:
    """By method, for example: the match is told of the environ."""
    served = routed(site, all_routes)

    assert served("/post").status == 404
    assert served.form("/post", b"a=1").body == b"index any [('a', '1')]"


def test_a_controller_without_an_action_is_the_page(site: Any) -> None:
    """It is called itself."""
    assert routed(site, all_routes)("/call?q=1").body == b"called [('q', '1')]"


def test_the_full_result_is_passed_on_demand(site: Any) -> None:
    """With controller and action."""

    def connect(dispatcher: Any) -> None:
        dispatcher.connect("full", "/x/{id}", controller=City(), action="show")

    assert (
        routed(site, connect, full_result=True)("/x/1").body == b"show 1 [('action', 'show'), ('controller', 'full')]"
    )


def test_configuration_is_merged_along_the_path(site: Any) -> None:
    """Site, '/', controller, page, and the sections of the path; the last section goes last."""
    cherrypy.config.update({"x.site": "site", "x.root": "site"})

    served = routed(site, all_routes, {"x.root": "root"})

    assert served("/city/1/config").body == b"site root section controller page"


def test_options_go_to_the_mapper(site: Any) -> None:
    """And the mapper is there to be used; ``controllers`` has the objects by name."""

    def connect(dispatcher: Any) -> None:
        all_routes(dispatcher)
        assert dispatcher.mapper.always_scan is True
        assert dispatcher.controllers["class"] is City
        assert dispatcher.mapper.generate(controller="show", action="show", id="5") == "/city/5"

    assert routed(site, connect, always_scan=True)("/city/5").status == 200


def test_a_redirect_is_cherrypy_s() -> None:
    """What routes asks for with ``redirect``."""
    with pytest.raises(cherrypy.HTTPRedirect) as caught:
        RoutesDispatcher().redirect("http://site.test/x")

    assert caught.value.urls == ["http://site.test/x"]


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the dispatcher is made, not at the first request."""
    monkeypatch.setitem(sys.modules, "routes", None)

    with pytest.raises(ImportError, match="routes"):
        RoutesDispatcher()
