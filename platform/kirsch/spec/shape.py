"""Plain data into spec structs, gathering every problem instead of stopping at the first.

msgspec stops at the first wrong value. Here each field is converted by itself; the key path, what was given, what is
allowed and the nearest known word go into one :class:`~kirsch.errors.Problem` each.
"""

from __future__ import annotations

import difflib
import functools
import re
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from kirsch.errors import Problem
from kirsch.spec.size import SIZE_RULE, Bytes
from kirsch.spec.stack import decode_special

StructType = TypeVar("StructType", bound=msgspec.Struct)
Parser = Callable[[object], object]

_PLAIN = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Bytes: SIZE_RULE,
    dict: "a table",
    tuple: "an array",
}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_LONGEST_SHOWN = 80


class Shaper:
    """Builds structs out of one file's data; ``problems`` fills up on the way.

    *parsers* read the short forms of struct types: ``{Workers: read}`` lets ``workers = 4`` stand for its table.
    """

    def __init__(self, file: str, parsers: Mapping[type, Parser] | None = None) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._parsers = dict(parsers or {})

    def report(self, key: str, *, allowed: str, **details: Any) -> None:
        """Note one problem at *key*; *details* are the other fields of :class:`~kirsch.errors.Problem`."""
        self.problems.append(Problem(file=self.file, key=key, allowed=allowed, **details))

    def build(self, kind: type[StructType], data: object, key: str, **given: object) -> StructType | None:
        """A *kind* from the table *data* that stands at *key*; *given* are fields that are not for the operator.

        Returns None when something in it is wrong; the problems say what.
        """
        if not isinstance(data, dict):
            self.report(key, given=show(data), allowed="a table")
            return None
        before = len(self.problems)
        hints = _hints(kind)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        known = [name for name in fields if name not in given]
        values: dict[str, object] = dict(given)
        for name, value in data.items():
            if name in known:
                values[name] = self.value(hints[name], value, join(key, name))
            else:
                self.unknown(join(key, name), name, known)
        for name in known:
            if name not in data and fields[name].required:
                self.report(join(key, name), allowed=describe(hints[name]))
        return kind(**values) if len(self.problems) == before else None

    def unknown(self, key: str, word: str, known: list[str]) -> None:
        """Note a key that does not exist, with the nearest that does."""
        self.report(key, message="is not a known key", allowed=", ".join(known), hint=nearest(word, known))

    def value(self, hint: Any, value: object, key: str) -> object:
        """*value* as the annotation *hint* wants it; None beside a problem when it cannot be."""
        inner, optional = _unwrap(hint)
        origin = get_origin(inner)
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            if inner in self._parsers and not isinstance(value, dict):
                return self._parsed(inner, value, key)
            return self.build(inner, value, key)
        if origin is tuple and isinstance(value, list):
            items = [self.value(get_args(inner)[0], item, f"{key}[{place}]") for place, item in enumerate(value)]
            return tuple(items)
        if origin is dict and isinstance(value, dict) and get_args(inner)[1] is not Any:
            of_key, of_value = get_args(inner)
            return {
                self.value(of_key, name, join(key, name)): self.value(of_value, item, join(key, name))
                for name, item in value.items()
            }
        try:
            return msgspec.convert(value, hint, dec_hook=decode_special)
        except (msgspec.ValidationError, ValueError):
            self._refuse(inner, optional, value, key)
            return None

    def _parsed(self, kind: type, value: object, key: str) -> object:
        try:
            return self._parsers[kind](value)
        except ValueError as error:
            self.report(key, given=show(value), allowed=str(error))
            return None

    def _refuse(self, hint: Any, optional: bool, value: object, key: str) -> None:
        words = [word for word in choices(hint) if isinstance(word, str)]
        near = nearest(value, words) if isinstance(value, str) else None
        allowed = describe(hint)
        if get_origin(hint) is tuple and isinstance(value, str):
            near = f"[{show(value)}]"
        self.report(key, given=show(value), allowed=allowed + (", or leave it out" if optional else ""), hint=near)


def join(key: str, name: object) -> str:
    """The dotted path of *name* under *key*, quoted where TOML would quote it."""
    text = str(name)
    part = text if _BARE_KEY.match(text) else show(text)
    return f"{key}.{part}" if key else part


def nearest(word: str, known: list[str]) -> str | None:
    """The word of *known* that *word* was probably meant to be."""
    found = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return found[0] if found else None


def show(value: object) -> str:
    """*value* the way TOML writes it, cut when it is long: ``"nativ"``, ``true``, ``[1, 2]``."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = msgspec.json.encode(value.encode("utf-8", "replace").decode()).decode()
    elif isinstance(value, list | tuple):
        text = f"[{', '.join(show(item) for item in value)}]"
    elif isinstance(value, dict):
        text = "{ " + ", ".join(f"{join('', name)} = {show(item)}" for name, item in value.items()) + " }"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def choices(hint: Any) -> list[object]:
    """The literal values that *hint* allows; empty when it is not a choice."""
    inner, _ = _unwrap(hint)
    return list(get_args(inner)) if get_origin(inner) is Literal else []


def describe(hint: Any) -> str:
    """What may stand where *hint* is asked for, in the operator's words."""
    rule = next((meta.description for meta in _metas(hint) if meta.description), None)
    inner, _ = _unwrap(hint)
    rule = rule or next((meta.description for meta in _metas(inner) if meta.description), None)
    if rule:
        return rule
    if get_origin(inner) is Annotated:
        inner = get_args(inner)[0]
    origin = get_origin(inner)
    if origin is Literal:
        return ", ".join(str(word) for word in get_args(inner))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(part) for part in get_args(inner) if part is not type(None)))
    if origin is tuple:
        return f"an array of {describe(get_args(inner)[0])}"
    return _PLAIN.get(origin or inner, "a table")


def _metas(hint: Any) -> tuple[msgspec.Meta, ...]:
    return tuple(meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta))


def _unwrap(hint: Any) -> tuple[Any, bool]:
    """The annotation without ``| None``, and whether that was there."""
    if get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in get_args(hint) if part is not type(None)]
        optional = len(parts) < len(get_args(hint))
        if len(parts) == 1:
            return parts[0], optional
        return hint, optional
    return hint, False


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
