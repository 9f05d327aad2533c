"""What pages are called in metrics: by where they hang in their application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import cherrypy
from kirsch.worker.naming import find_page, know_apps


class Users:
    @cherrypy.expose
    def show(self) -> str:
        return "shown"


class Groups(Users):
    @cherrypy.expose
    def drop(self) -> str:
        return "dropped"


class Trap:
    """Has what must not be touched."""

    @property
    def database(self) -> Any:
        raise AssertionError("a property was called")


class Root(Trap):
    def __init__(self) -> None:
        self.users = Users()
        self.admin = Groups()
        self.admin.root = self  # type: ignore[attr-defined]

    @cherrypy.expose
    def index(self) -> str:
        return "index"


@pytest.fixture(autouse=True)
def tree() -> Iterator[None]:
    before = dict(cherrypy.tree.apps)
    cherrypy.tree.apps.clear()
    yield
    cherrypy.tree.apps.clear()
    cherrypy.tree.apps.update(before)
    know_apps({})


def test_a_page_is_called_by_its_place() -> None:
    """Attribute by attribute from the root, under the name that the stack gives its application."""
    cherrypy.tree.mount(Root(), "/shop")
    know_apps({"/shop": "shop"})

    index = find_page(Root.index.__code__, "GET")
    drop = find_page(Groups.drop.__code__, "DELETE")

    assert (index.app, index.name, index.method) == ("shop", "Root.index", "GET")
    assert (drop.app, drop.name, drop.method) == ("shop", "Root.admin.drop", "DELETE")
    assert index.code == "worker/test_naming.py: Root.index"


def test_a_page_in_several_places_is_called_by_its_code() -> None:
    """No place is more its own than another; of several applications none is."""
    cherrypy.tree.mount(Root(), "/a")
    one = find_page(Users.show.__code__, "GET")
    cherrypy.tree.mount(Root(), "/b")
    two = find_page(Users.show.__code__, "GET")

    assert (one.app, one.name) == ("/a", "Users.show")
    assert (two.app, two.name) == ("(several)", "Users.show")


def test_what_hangs_nowhere_is_called_by_its_code() -> None:
    """A page of a dispatcher of the application's own."""

    def page() -> None: ...

    found = find_page(page.__code__, "GET")

    assert found.app == ""
    assert found.name.endswith("page")


def test_what_the_framework_answers_is_nobodys() -> None:
    """Unknown paths and the like."""
    assert find_page(cherrypy.NotFound, "GET").name == "(none)"
    assert find_page(Users, "GET").name == "Users"
