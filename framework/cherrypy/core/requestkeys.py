"""What keys of the ``request`` namespace can be told: a value that can never work is named with its key.

Law: refused is only what would fail anyway, later and less clearly; so whatever works elsewhere works here. A name that
nothing reads still lands on the request, where pages may look for it; one that looks like a typing error is said once.
"""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Callable, Container, Iterable
from typing import Any, NamedTuple

from cherrypy.conf.namespaces import warn_unknown
from cherrypy.core.bodylimits import DEFAULTS, check_limit
from cherrypy.http.query import check_separators


class _Check(NamedTuple):
    is_good: Callable[[Any], bool]
    allowed: str


def _is_codec(value: Any) -> bool:
    try:
        codecs.lookup(value)
    except (LookupError, TypeError, ValueError):
        return False
    return True


def _is_optional_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_charsets(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and all(map(_is_codec, value))


def _are_exceptions(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_are_exceptions, value))
    return isinstance(value, type) and issubclass(value, BaseException)


def _are_processors(value: Any) -> bool:
    return all(map(callable, value.values())) if isinstance(value, dict) else hasattr(value, "get")


_CALLABLE = _Check(callable, "a callable")
_CODEC = _Check(_is_codec, "the name of a charset")

CHECKS: dict[str, _Check] = {
    "dispatch": _CALLABLE,
    "error_response": _Check(lambda value: not value or callable(value), "a callable, or None"),
    "methods_with_bodies": _Check(lambda value: isinstance(value, Container), "a collection of method names"),
    "query_string_encoding": _CODEC,
    "throws": _Check(_are_exceptions, "a class of exceptions, or a tuple of them"),
    "uri_encoding": _CODEC,
    "body.attempt_charsets": _Check(_are_charsets, "a list of names of charsets"),
    "body.bufsize": _Check(_is_number, "a whole number of at least 1"),
    "body.default_proc": _CALLABLE,
    "body.maxbytes": _Check(_is_optional_number, "a number of bytes, or None"),
    "body.part_class": _Check(lambda value: hasattr(value, "from_fp"), "a class of parts, with from_fp"),
    "body.processors": _Check(_are_processors, "{content type: function(entity)}"),
}


def check(key: str, value: Any) -> None:
    """Check the value of ``request.KEY``.

    Raises:
        ValueError: it cannot work; the text has the key, what was given, and what is allowed.
    """
    rule = CHECKS.get(key)
    if rule is not None and not rule.is_good(value):
        raise ValueError(f"request.{key} must be {rule.allowed}; not {value!r}")
    if key == "query_separators":
        check_separators(value)
    elif key.startswith("body.") and (key[5:] in DEFAULTS or key == "body.maxrambytes"):
        check_limit(key[5:], value)


def warn_of_misspelling(key: str, owner: object) -> None:
    """Say once that ``request.KEY`` is unknown if it is nearly the name of an attribute that *owner* has.

    COMPAT: other names are no mistakes; applications put attributes of their own there.
    """
    namespace, _, name = f"request.{key}".rpartition(".")
    if hasattr(owner, name) or name == "uri_encoding":
        return
    known = [known for known in dir(owner) if not known.startswith("_")]
    if difflib.get_close_matches(name, known, n=1, cutoff=0.85):
        warn_unknown(namespace, name, known)
