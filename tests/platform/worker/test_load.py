"""Entries: what they name, and of which kind that is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import cherrypy
from kirsch.errors import SuperviseError
from kirsch.spec import App
from kirsch.worker.load import Loaded, load_app, split_call
from kirsch.worker.surroundings import surround

SOURCE = """
import cherrypy

class Root:
    @cherrypy.expose
    def index(self): return "x"

class Resource:
    exposed = True
    def GET(self): return "x"

class Inherited(Root): pass

class Dispatching:
    def _cp_dispatch(self, vpath): return None

class Dynamic:
    def __init__(self): self.page = lambda: "x"; self.page.exposed = True

class Dangerous:
    @property
    def exposed(self): raise RuntimeError("touched")
    def __call__(self, environ, start_response): return []

class ClassicalWSGI:
    def __init__(self, environ, start_response): pass
    def __iter__(self): return iter(())

root = Root()
dynamic = Dynamic()
dangerous = Dangerous()
application = cherrypy.Application(Root(), "/elsewhere")
def wsgi(environ, start_response): return []
def wsgi_star(*args): return []
async def asgi(scope, receive, send): pass
class ASGI:
    async def __call__(self, scope, receive, send): pass
asgi_object = ASGI()
def make_asgi(): return asgi
def make(): return wsgi
def make_with(what, strict=False, **settings): return wsgi
def make_root(): return Root()
def make_nothing(): return 42
number = 42
class space:
    inner = wsgi
tree = cherrypy.tree
"""


@pytest.fixture
def folder(tmp_path: Path, as_it_was: None) -> Path:
    """A release with one module."""
    (tmp_path / "entries_under_test.py").write_text(SOURCE)
    return tmp_path


def load(folder: Path, name: str, **app: Any) -> Loaded:
    made = App(name="a", **{"entry": f"entries_under_test:{name}"} | app)
    with surround(made, (made,), str(folder)) as place:
        return load_app(made, place)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Root", "root"),
        ("root", "root"),
        ("Resource", "root"),
        ("Inherited", "root"),
        ("Dispatching", "root"),
        ("dynamic", "root"),
        ("make_root", "root"),
        ("make_root()", "root"),
        ("application", "application"),
        ("wsgi", "wsgi"),
        ("wsgi_star", "wsgi"),
        ("ClassicalWSGI", "wsgi"),
        ("dangerous", "wsgi"),
        ("make", "wsgi"),
        ("make()", "wsgi"),
        ("make_with('wsgi', strict=True)", "wsgi"),
        ("make_with({'a': [1, -2.5, None]})", "wsgi"),
        ("space.inner", "wsgi"),
        ("asgi", "asgi"),
        ("asgi_object", "asgi"),
        ("make_asgi", "asgi"),
        ("ASGI", "asgi"),
        ("tree", "mounted"),
    ],
)
def test_kinds(folder: Path, name: str, kind: str) -> None:
    """Every row of the table, and attributes that raise when touched."""
    assert load(folder, name).kind == kind


def test_a_root_class_is_made(folder: Path) -> None:
    """What is mounted is an object."""
    assert not isinstance(load(folder, "Root").target, type)


def test_the_folder_comes_first_and_is_the_working_one(folder: Path) -> None:
    """An app's own folder, relative to the release."""
    (folder / "deep").mkdir()
    (folder / "deep/entries_under_test.py").write_text("def app(environ, start_response): return ['deep']")
    loaded = load(folder, "app", directory="deep")

    assert loaded.target(None, None) == ["deep"]
    assert os.getcwd() == str(folder / "deep")
    assert sys.path[0] == str(folder / "deep")


@pytest.mark.parametrize("name", ["number", "make_nothing", "make_nothing()"])
def test_what_cannot_be_mounted_is_refused(folder: Path, name: str) -> None:
    """With what is allowed."""
    with pytest.raises(SuperviseError, match="allowed: a class or object with exposed handlers"):
        load(folder, name)


def test_a_name_that_is_not_there_is_refused(folder: Path) -> None:
    """With the names that are."""
    with pytest.raises(SuperviseError, match=r"it has: .*Root"):
        load(folder, "Rot")


def test_the_applications_own_error_comes_through(folder: Path) -> None:
    """Its traceback is worth more than any wrapping of ours."""
    with pytest.raises(ModuleNotFoundError):
        load(folder, "", entry="no_such_module_here:x")


def test_cherrypy_is_the_same_for_all() -> None:
    """The tree that applications see is the one that is served."""
    assert cherrypy.tree is not None


@pytest.mark.parametrize("entry", ["a:b(name)", "a:b(1", "a:b(f())", "a:b(*[1])", "a:b(**{})", "a:b().c", "a:b(1)(2)"])
def test_arguments_of_a_factory_are_literals(entry: str) -> None:
    """Nothing is looked up, nothing is run before the factory itself."""
    with pytest.raises(SuperviseError, match="are literals"):
        split_call(entry)


def test_a_neighbours_module_does_not_hide_an_apps_own(folder: Path) -> None:
    """Python would give the second app the first one's code."""
    load(folder, "wsgi")
    (folder / "second").mkdir()
    (folder / "second/entries_under_test.py").write_text(SOURCE)

    with pytest.raises(SuperviseError, match=r"is hidden by .*entries_under_test.py.* a pool of its own"):
        load(folder, "wsgi", directory="second")
    assert load(folder, "make").kind == "wsgi"
