"""Parameters become what annotations say."""

from __future__ import annotations

import datetime
import decimal
import enum
import typing
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal, Optional, Union

import pytest

import cherrypy
from cherrypy.lib.paramtypes import converter_of, converters_of


class Colour(enum.Enum):
    """By text."""

    RED = "red"


class Level(enum.IntEnum):
    """By number."""

    LOW = 1


IDENTITY = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("annotation", "given", "value"),
    [
        (int, "7", 7),
        (float, "1.5", 1.5),
        (str, "x", "x"),
        (bool, "true", True),
        (bool, "on", True),
        (bool, "anything", True),
        (bool, "", False),
        (bool, "0", False),
        (bool, "False", False),
        (bool, "no", False),
        (bool, "off", False),
        (bool, ["a"], True),
        (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
        (uuid.UUID, IDENTITY, uuid.UUID(IDENTITY)),
        (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)),
        (datetime.datetime, "2026-01-02T03:04", datetime.datetime(2026, 1, 2, 3, 4)),
        (datetime.time, "03:04", datetime.time(3, 4)),
        (Colour, "red", Colour.RED),
        (Colour, "RED", Colour.RED),
        (Level, "1", Level.LOW),
        (Level, "LOW", Level.LOW),
        (Literal["a", 2], "a", "a"),
        (Literal["a", 2], "2", 2),
        (list, "ab", ["ab"]),
        (list, ["a", "b"], ["a", "b"]),
        (list[int], "12", [12]),
        (list[int], ["1", "2"], [1, 2]),
        (typing.List[int], ["1"], [1]),  # noqa: UP006
        (tuple[int, ...], ["1", "2"], (1, 2)),
        (set[int], ["1", "1"], {1}),
        (frozenset[str], "a", frozenset("a")),
        (list[Any], ["a"], ["a"]),
        (int | None, "7", 7),
        (int | None, "", None),
        (Optional[int], "7", 7),  # noqa: UP045
        (Union[int, str], "7", 7),  # noqa: UP007
        (Union[int, str], "x", "x"),  # noqa: UP007
        (str | None, "", ""),
        (list[int] | None, ["1"], [1]),
        (Annotated[int, "a number"], "7", 7),
        (lambda text: text.upper(), "x", "X"),
    ],
)
def test_a_text_becomes_what_the_annotation_says(annotation: Any, given: Any, value: Any) -> None:
    """Of one type and value."""
    converter = converter_of(annotation)

    assert converter is not None
    assert converter(given) == value
    assert type(converter(given)) is type(value)


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (int, "x"), (int, ""), (int, ["1", "2"]), (float, ["1"]), (decimal.Decimal, "x"), (uuid.UUID, "x"),
        (datetime.date, "tomorrow"), (datetime.date, ["2026-01-02", "2026-01-03"]), (Colour, "blue"), (Level, "9"),
        (Literal["a"], "b"), (list[int], ["1", "x"]), (int | None, "x"), (int | float, "x"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_value_error(annotation: Any, given: Any) -> None:
    """The exception that the tool answers."""
    converter = converter_of(annotation)

    assert converter is not None
    with pytest.raises(ValueError):  # noqa: PT011 - of many kinds
        converter(given)


@pytest.mark.parametrize("annotation", [Any, 3, None, "text"])
def test_what_is_no_type_converts_nothing(annotation: Any) -> None:
    """Annotations may be about other things."""
    assert converter_of(annotation) is None


pick = {"r": 1}.__getitem__


class Shelf:
    """Pages with typed parameters."""

    @cherrypy.expose
    @cherrypy.tools.params()
    def page(self, number: int | None = None, ids: list[int] | None = None, flag: bool = False, *, key: int = 0) -> str:
        """Show them."""
        return repr((number, ids, flag, key))

    @cherrypy.expose
    @cherrypy.tools.params(error=404)
    def gone(self, number: int) -> str:
        """A bad number is a page that does not exist."""
        return str(number)

    @cherrypy.expose
    @cherrypy.tools.params(exception=(LookupError, ValueError))
    def mapped(self, colour: pick) -> str:  # type: ignore[valid-type]
        """A conversion with an exception of its own."""
        return str(colour)

    @cherrypy.expose
    @cherrypy.tools.params()
    @cherrypy.tools.json_out()
    def wrapped(self, number: int) -> int:
        """Another tool around the page."""
        return number + 1


@pytest.fixture
def browser(serve: Callable[..., Any]) -> Any:
    """The site."""
    return serve(Shelf())


def test_pages_get_values(browser: Any) -> None:
    """From the query and from a form."""
    assert browser("/page?number=1&ids=2&ids=3&flag=no&key=4").body == b"(1, [2, 3], False, 4)"
    assert browser("/page", "POST", body=b"number=&ids=2&flag=on").body == b"(None, [2], True, 0)"
    assert browser("/page").body == b"(None, None, False, 0)"
    assert browser("/wrapped?number=1").body == b"2"


def test_a_bad_value_is_the_configured_error(browser: Any) -> None:
    """400 if nothing else is said."""
    assert browser("/page?number=x").status == 400
    assert b"invalid literal for int()" in browser("/page?number=x").body
    assert browser("/gone?number=x").status == 404
    assert browser("/mapped?colour=g").status == 400


def test_a_path_without_a_page_stays_not_found(serve: Callable[..., Any]) -> None:
    """The tool may be on for a whole site."""
    assert serve(Shelf(), params__on=True)("/none/such").status == 404


def test_a_path_that_another_tool_answers_is_left_alone(serve: Callable[..., Any]) -> None:
    """There is no handler then."""

    def answer() -> None:
        cherrypy.request.handler = None
        cherrypy.response.body = b"tool"

    browser = serve(Shelf(), {"hooks.before_handler": answer}, params__on=True, params__priority=60)

    assert browser("/page?number=x").body == b"tool"


def test_annotations_are_read_once_per_function() -> None:
    """Methods are new objects each time they are looked up."""
    assert converters_of(Shelf().page) is converters_of(Shelf().page)
    assert converters_of(len) == {}
