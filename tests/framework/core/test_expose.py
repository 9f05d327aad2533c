"""``expose`` and ``popargs`` in every form."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import cherrypy


def exposed_names(owner: type) -> set[str]:
    """The attributes of *owner* that are pages."""
    return {name for name, value in vars(owner).items() if getattr(value, "exposed", False)}


def test_every_form_of_the_decorator() -> None:
    """Bare, called, with one alias, with several, by keyword; a dot in an alias is an underscore."""

    class Pages:
        @cherrypy.expose
        def bare(self) -> None: ...

        @cherrypy.expose()
        def called(self) -> None: ...

        @cherrypy.expose("other.name")
        def one(self) -> None: ...

        @cherrypy.expose(["two", "three"])
        def several(self) -> None: ...

        @cherrypy.expose(("x", "y.z"))
        def pair(self) -> None: ...

        @cherrypy.expose(alias="four")
        def keyword(self) -> None: ...

        def hidden(self) -> None: ...

    pages: Any = Pages
    assert exposed_names(Pages) == {
        *("bare", "called", "one", "other_name", "several", "two", "three"),
        *("pair", "x", "y_z", "keyword", "four"),
    }
    assert pages.two is pages.several


def test_a_call_exposes_a_function_that_is_there_already() -> None:
    """The aliases come into the scope of the call."""

    class Pages:
        def page(self) -> None: ...

        cherrypy.expose(page, "five")
        cherrypy.expose(page, alias=["six", "seven"])
        eight = cherrypy.expose(lambda self: "x")

    assert exposed_names(Pages) == {"page", "five", "six", "seven", "eight"}


def test_classes_can_be_exposed() -> None:
    """For dispatch by method; under another name, too."""

    class Root:
        @cherrypy.expose
        class Items:
            pass

        @cherrypy.expose("al.ias")
        class Others:
            pass

    assert exposed_names(Root) == {"Items", "Others", "al_ias"}


def test_the_decorated_thing_is_given_back() -> None:
    """Not a wrapper of it."""

    def page() -> None: ...

    assert cherrypy.expose(page) is page
    assert cherrypy.expose()(page) is page


def test_callable_objects_and_partials_can_be_exposed(site: Any) -> None:
    """CherryPy took them for lists of aliases, and lost the page."""

    class Counter:
        count = 0

        def __call__(self) -> str:
            self.count += 1
            return str(self.count)

    def add(a: str, b: str) -> str:
        return a + b

    site.mount(
        type("Root", (), {"counter": cherrypy.expose(Counter()), "two": cherrypy.expose(functools.partial(add, "x"))})()
    )

    assert site("/counter").body == b"1"
    assert site("/two?b=y").body == b"xy"


def test_static_and_class_methods_can_be_exposed(site: Any) -> None:
    """In either order of the decorators."""

    class Root:
        @cherrypy.expose
        @staticmethod
        def outside() -> str:
            return "outside"

        @staticmethod
        @cherrypy.expose
        def inside() -> str:
            return "inside"

        @cherrypy.expose
        @classmethod
        def of_class(cls) -> str:
            return cls.__name__

    site.mount(Root())

    assert [site(f"/{name}").body for name in ("outside", "inside", "of_class")] == [b"outside", b"inside", b"Root"]


@pytest.mark.parametrize(
    "thing", [len, property(lambda self: 1), 5, "".join], ids=["builtin", "property", "int", "bound"]
)
def test_what_cannot_be_exposed_is_refused(thing: Any) -> None:
    """With what was given and what is allowed."""
    with pytest.raises(TypeError, match=r"expose\(\) cannot mark .* functions, classes"):
        cherrypy.expose(thing)


class Day:
    """A handler of ``popargs`` that is made for each request."""

    def __init__(self, year: str, month: str = "-") -> None:
        self.date = (year, month)

    @cherrypy.expose
    def index(self, **params: str) -> str:
        return f"{self.date} {params}"


class Blog:
    """Pages that take the popped segments as parameters."""

    @cherrypy.expose
    def index(self, **params: str) -> str:
        return str(sorted(params.items()))

    @cherrypy.expose
    def page(self, year: str, month: str) -> str:
        return f"page {year} {month}"


def test_popargs_as_a_decorator(site: Any) -> None:
    """Segments become parameters of the pages below; the rest of the path goes on."""
    site.mount(type("Root", (), {"blog": cherrypy.popargs("year", "month")(type("Dated", (Blog,), {}))()})())

    assert site("/blog/2024/05/").body == b"[('month', '05'), ('year', '2024')]"
    assert site("/blog/2024/").body == b"[('year', '2024')]"
    assert site("/blog/2024/05/page").body == b"page 2024 05"
    assert site("/blog/2024/05/none").status == 404


def test_popargs_as_the_value_of_cp_dispatch(site: Any) -> None:
    """The other documented form."""

    class Dated(Blog):
        _cp_dispatch = cherrypy.popargs("year", "month")

    site.mount(type("Root", (), {"blog": Dated()})())

    assert site("/blog/2024/05/page").body == b"page 2024 05"


def test_popargs_with_a_class_as_handler(site: Any) -> None:
    """It is called with the segments, which reach no page as parameters."""

    class Root:
        pass

    Root.made = cherrypy.popargs("year", "month", handler=Day)(type("Made", (), {}))()  # type: ignore[attr-defined]
    site.mount(Root())

    assert site("/made/2024/05/").body == b"('2024', '05') {}"
    assert site("/made/2024/").body == b"('2024', '-') {}"


def test_popargs_with_an_object_as_handler(site: Any) -> None:
    """It goes on in place of the owner, and its pages get the parameters."""

    class Dated:
        _cp_dispatch = cherrypy.popargs("year", handler=Blog())

    site.mount(type("Root", (), {"blog": Dated()})())

    assert site("/blog/2024/").body == b"[('year', '2024')]"
    assert site("/blog/2024/page?month=05").body == b"page 2024 05"


def test_popargs_refuses_other_keywords() -> None:
    """A typo is said when the class is made."""
    with pytest.raises(TypeError, match=r"only the keyword 'handler', not \['handle'\]"):
        cherrypy.popargs("a", handle=Day)
