"""The params tool: parameters become what the annotations of the page handler say.

What each annotation makes of the text that was sent:

    int, float, Decimal, UUID, any callable    its result
    str, Any                                   the text as it is
    bool                                       False for '', 0, false, no, off, n, f; else True
    date, datetime, time                       ISO 8601
    an Enum                                    the member of that value, or else of that name
    Literal['a', 1]                            the value that is written so
    list[int], tuple[int, ...], set[int]       each of the values sent, of which there may be one
    int | None                                 None for '', otherwise an int
    int | str                                  the first that fits
"""

from __future__ import annotations

import datetime
import enum
import inspect
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError

Converter = Callable[[Any], Any]

_FALSE = frozenset(("", "0", "false", "no", "off", "n", "f"))
_UNIONS = (typing.Union, types.UnionType)
_COLLECTIONS = (list, tuple, set, frozenset)


def convert_params(exception: type[Exception] | tuple[type[Exception], ...] = ValueError, error: int = 400) -> None:
    """Convert the request's parameters to the types that the handler's annotations name.

    >>> @cherrypy.tools.params()
    ... def page(self, number: int, ids: list[int] = (), day: datetime.date | None = None): ...

    Args:
        exception: what a conversion raises for a bad value.
        error: the answer to that.

    Raises:
        HTTPError: *error* for a value that cannot be converted.
    """
    request = serving.request
    function = getattr(request.handler, "callable", None)
    if function is None:
        # no page was found, or another tool has answered
        return
    converters = converters_of(function)
    for name in converters.keys() & request.params.keys():
        with HTTPError.handle(exception, error):
            request.params[name] = converters[name](request.params[name])


def converters_of(function: Callable[..., Any]) -> dict[str, Converter]:
    """The converters by parameter; annotations that say nothing about a value convert nothing."""
    own = getattr(function, "__func__", function)
    # PERF: methods are made at each look-up, their functions are not (10 us -> 0.3 us)
    return _converters_of(own) if isinstance(own, types.FunctionType) else _read_annotations(own)


def _read_annotations(function: Callable[..., Any]) -> dict[str, Converter]:
    given = getattr(function, "__annotations__", {})
    if any(isinstance(one, str) for one in given.values()):
        # written under `from __future__ import annotations`
        given = inspect.get_annotations(inspect.unwrap(function), eval_str=True)
    found = {name: converter_of(one) for name, one in given.items() if name != "return"}
    return {name: one for name, one in found.items() if one is not None}


_converters_of = lru_cache(maxsize=1024)(_read_annotations)


def converter_of(annotation: Any) -> Converter | None:
    """The function that makes a value of a parameter's text; None for an annotation that is no type."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return converter_of(arguments[0])
    if origin in _UNIONS:
        return _of_union(arguments)
    if origin is typing.Literal:
        return lambda given: _to_literal(arguments, given)
    kind = origin or annotation
    if kind in _COLLECTIONS:
        return _of_collection(kind, arguments)
    if annotation is Any or not callable(annotation):
        return None
    if annotation is bool:
        return _to_bool
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return lambda given: _to_member(annotation, given)
        if issubclass(annotation, datetime.date | datetime.time):
            return lambda given: annotation.fromisoformat(_one(given))
    return lambda given: _call(annotation, given)


def _one(given: Any) -> Any:
    if isinstance(given, list):
        raise ValueError(f"one value is expected, not {len(given)}")
    return given


def _call(kind: Converter, given: Any) -> Any:
    if isinstance(given, list) and kind in (int, float, complex):
        _one(given)
    try:
        return kind(given)
    except ArithmeticError as error:
        # Decimal('x') raises no ValueError
        raise ValueError(f"{given!r} is no {getattr(kind, '__name__', kind)}") from error


def _to_bool(given: Any) -> bool:
    return given.strip().lower() not in _FALSE if isinstance(given, str) else bool(given)


def _to_member(kind: type[enum.Enum], given: Any) -> enum.Enum:
    try:
        return kind(given)
    except ValueError:
        for member in kind:
            if given in (str(member.value), member.name):
                return member
        raise


def _to_literal(values: tuple[Any, ...], given: Any) -> Any:
    for value in values:
        if given in (value, str(value)):
            return value
    raise ValueError(f"{given!r} is none of {', '.join(map(str, values))}")


def _of_collection(kind: Any, arguments: tuple[Any, ...]) -> Converter:
    convert = converter_of(arguments[0]) if arguments else None

    def to_collection(given: Any) -> Any:
        values = given if isinstance(given, list | tuple | set) else [given]
        return kind(values if convert is None else [convert(one) for one in values])

    return to_collection


def _of_union(arguments: tuple[Any, ...]) -> Converter | None:
    is_optional = type(None) in arguments
    converters = [converter_of(one) for one in arguments if one is not type(None)]
    takes_text = str in arguments

    def to_first(given: Any) -> Any:
        if is_optional and (given is None or (given == "" and not takes_text)):
            return None
        failure: Exception = ValueError(f"{given!r} fits nothing that is expected")
        for convert in converters:
            try:
                return given if convert is None else convert(given)
            except (ValueError, TypeError) as error:
                failure = error
        raise failure

    return to_first
