"""What tools can be told: arguments that a tool does not have, or whose value can never work, are named with their key.

Law: refused is only what would fail in the tool's own code anyway, at the moment at which the tool would have run; so
whatever works elsewhere works here. The checks of the built-in tools are the table ``CHECKS``.
"""

from __future__ import annotations

import codecs
import datetime
import difflib
import inspect
import os
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from types import FunctionType, MethodType
from typing import Any, NamedTuple, NoReturn

from cherrypy.aio import sse, upgrade
from cherrypy.http.forwarded import Trust
from cherrypy.http.status import valid_status
from cherrypy.lib import auth_basic, auth_digest, caching, cptools, encoding, jsontools, static, xmlrpcutil

# Read by the tool class itself, whatever the callable takes.
_OF_EVERY_TOOL = frozenset(("on", "priority"))


class ToolTypeError(TypeError, ValueError):
    """A tool was configured with an argument that it does not take, or with a value that cannot work.

    COMPAT: has TypeError in its name, since that is what pages with tracebacks showed.

    Attributes:
        key: the configuration key, 'tools.gzip.compres_level'.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key

    def raise_for(self, function: Any, conf: Mapping[str, Any]) -> NoReturn:
        """Raise it for a call of *function* with *conf*; Python's own words, if it has any, are the cause."""
        if isinstance(function, FunctionType | MethodType):
            conf = {name: value for name, value in conf.items() if name not in _OF_EVERY_TOOL}
            try:
                inspect.signature(function, follow_wrapped=False).bind(**conf)
            except TypeError:
                # the arguments do not fit, so nothing of the function runs
                try:
                    function(**conf)
                except TypeError as error:
                    raise ToolTypeError(self.key, str(self)) from error
        raise ToolTypeError(self.key, str(self))


class Check(NamedTuple):
    """What values an argument takes: a test, and the words for it."""

    holds: Callable[[Any], bool]
    allowed: str


def _either(check: Check, *values: Any) -> Check:
    words = ", ".join(repr(one) for one in values)
    return Check(lambda value: any(value is one for one in values) or check.holds(value), f"{words} or {check.allowed}")


def _holds_texts(value: Any) -> bool:
    # others may be read only once, or ask a database: they are not looked into
    if isinstance(value, list | tuple | set | frozenset):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, Iterable) and not isinstance(value, bytes)


def _holds_pairs(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(one, list | tuple) and len(one) == 2 for one in value)
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError):
        return False
    return True


def _is_status(lowest: int, highest: int) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        try:
            return lowest <= valid_status(value)[0] <= highest
        except (ValueError, TypeError, AttributeError):
            return False

    return holds


def _is_charset(value: Any) -> bool:
    try:
        codecs.lookup(value)
    except (LookupError, TypeError, ValueError):
        return False
    return True


def _are_charsets(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_charset(one) for one in value)
    return not value or _is_charset(value)


def _handles_errors(value: Any) -> bool:
    try:
        codecs.lookup_error(value)
    except (LookupError, TypeError):
        return False
    return True


def _are_exceptions(value: Any) -> bool:
    given = value if isinstance(value, tuple) else (value,)
    return all(isinstance(one, type) and issubclass(one, BaseException) for one in given)


def _are_networks(value: Any) -> bool:
    try:
        Trust([value] if isinstance(value, str) else value)
    except (ValueError, TypeError):
        return False
    return True


TEXT = Check(lambda value: isinstance(value, str), "a text")
TEXT_OR_NONE = _either(TEXT, None)
PATH = Check(lambda value: isinstance(value, str | os.PathLike), "a path")
TEXTS = Check(_holds_texts, "a text or a list of texts")
TEXTS_OR_NONE = _either(TEXTS, None)
PAIRS = Check(
    lambda value: value is None or isinstance(value, Mapping) or _holds_pairs(value), "pairs of name and value"
)
PATTERN = Check(_is_pattern, "a regular expression")
MATCH = _either(PATTERN, None)
ROOT = _either(PATH, None)
NUMBER = Check(lambda value: isinstance(value, Real), "a number")
LEVEL = Check(lambda value: isinstance(value, Integral) and -1 <= int(value) <= 9, "a whole number from 0 to 9")
SECONDS = Check(lambda value: isinstance(value, Real | datetime.timedelta), "a number of seconds or a timedelta")
REDIRECT = Check(lambda value: not value or _is_status(300, 399)(value), "a status from 300 to 399, or None")
ERROR = Check(_is_status(400, 599), "a status from 400 to 599")
FUNCTION = Check(callable, "a function")
TYPES = _either(Check(lambda value: isinstance(value, Mapping), "a dict {extension: type}"), None, "")
CHARSET = Check(_is_charset, "the name of a charset")
CHARSETS = Check(_are_charsets, "the name of a charset or a list of them")
TARGET = Check(lambda value: isinstance(value, str | list | tuple), "a URL")

# {callable of the tool: {argument: what it takes}}
CHECKS: dict[Any, dict[str, Check]] = {
    cptools.accept: {"media": TEXTS_OR_NONE},
    cptools.allow: {"methods": TEXTS_OR_NONE},
    auth_basic.basic_auth: {"realm": TEXT, "checkpassword": FUNCTION, "accept_charset": CHARSET},
    auth_digest.digest_auth: {"realm": TEXT, "get_ha1": FUNCTION, "accept_charset": CHARSET},
    cptools.autovary: {"ignore": TEXTS_OR_NONE},
    caching.get: {
        "cache_class": FUNCTION,
        "delay": NUMBER,
        "maxobjects": NUMBER,
        "maxobj_size": NUMBER,
        "maxsize": NUMBER,
        "expire_freq": NUMBER,
        "antistampede_timeout": _either(NUMBER, None),
    },
    encoding.decode: {"encoding": CHARSETS, "default_encoding": CHARSETS},
    encoding.ResponseEncoder: {
        "encoding": _either(CHARSET, None),
        "default_encoding": CHARSET,
        "errors": Check(_handles_errors, "a way to handle what does not fit: 'strict', 'replace', 'ignore', ..."),
    },
    caching.expires: {"secs": SECONDS},
    encoding.gzip: {"compress_level": LEVEL, "mime_types": TEXTS},
    cptools.ignore_headers: {"headers": TEXTS},
    jsontools.json_in: {"content_type": TEXTS, "processor": FUNCTION, "decoder": _either(FUNCTION, None)},
    jsontools.json_out: {"content_type": TEXT_OR_NONE, "handler": FUNCTION, "encoder": _either(FUNCTION, None)},
    cptools.log_traceback: {"severity": NUMBER},
    cptools.convert_params: {"exception": Check(_are_exceptions, "an exception or several"), "error": ERROR},
    cptools.proxy: {
        "base": TEXT_OR_NONE,
        "local": TEXT_OR_NONE,
        "remote": TEXT_OR_NONE,
        "scheme": TEXT_OR_NONE,
        "trusted": _either(Check(_are_networks, "addresses, networks and 'unix:'"), None),
    },
    cptools.redirect: {"url": TARGET},
    cptools.referer: {"pattern": PATTERN, "error": ERROR},
    cptools.response_headers: {"headers": PAIRS},
    static.staticdir: {"section": TEXT, "dir": PATH, "root": ROOT, "match": MATCH, "content_types": TYPES},
    static.staticfile: {"filename": PATH, "root": ROOT, "match": MATCH, "content_types": TYPES},
    cptools.trailing_slash: {"status": REDIRECT},
    xmlrpcutil.on_error: {"encoding": _either(CHARSET, None)},
    sse.sse: {"heartbeat": _either(NUMBER, None), "retry": _either(NUMBER, None)},
    upgrade.websocket: {
        "origins": TEXTS_OR_NONE,
        "subprotocols": TEXTS,
        "max_size": NUMBER,
        "ping_interval": _either(NUMBER, None),
        "ping_timeout": NUMBER,
        "close_timeout": NUMBER,
    },
}

# Tools that take everything as an attribute: {callable: classes whose attributes have a meaning}. Others are odd.
_ATTRIBUTES: dict[Any, list[Any]] = {
    encoding.ResponseEncoder: [encoding.ResponseEncoder],
    caching.get: [caching.get, caching.MemoryCache],
}


def find_error(function: Any, prefix: str, conf: Mapping[str, Any], *, whole: bool = True) -> ToolTypeError | None:
    """Return what is wrong with the arguments *conf* of the tool whose keys begin with *prefix*, None if nothing.

    Args:
        function: the tool's callable.
        prefix: 'tools.gzip.'.
        conf: {argument: value}.
        whole: also miss arguments that are not there.
    """
    priority = conf.get("priority")
    if not (priority is None or isinstance(priority, Real)):
        return _wrong(prefix, "priority", priority, NUMBER)
    parameters = _parameters_of(function)
    if parameters is not None:
        takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        named = [name for name, one in parameters.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
        for name in conf:
            if name not in named and name not in _OF_EVERY_TOOL and not takes_all:
                return ToolTypeError(prefix + name, f"{prefix}{name}: {_unknown(name, named)}")
        empty = inspect.Parameter.empty
        missing = [prefix + name for name in named if name not in conf and parameters[name].default is empty]
        if missing and whole:
            return ToolTypeError(missing[-1], f"{' and '.join(missing)}: missing, and the tool cannot do without.")
    for name, check in _checks_of(function).items():
        if name in conf and not check.holds(conf[name]):
            return _wrong(prefix, name, conf[name], check)
    return None


def odd_arguments(function: Any, prefix: str, conf: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each argument of *conf* that will be taken, but has no meaning to the tool."""
    kinds = _ATTRIBUTES.get(_hashable(function))
    if kinds is None or "cache_class" in conf:
        return []
    known = sorted({name for kind in kinds for name in _names_of(kind)})
    return [
        f"{prefix}{name}: {_unknown(name, known)}"
        for name in conf
        if name not in known and name not in _OF_EVERY_TOOL and name != "debug"
    ]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean ...?' if one of *known* looks like *name*, else ''."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {found[0]!r}?" if found else ""


def _unknown(name: str, known: list[str]) -> str:
    takes = ", ".join(known) if known else "nothing but 'on' and 'priority'"
    return f"the tool has no argument {name!r}.{nearest(name, known)} It takes {takes}."


def _wrong(prefix: str, name: str, value: Any, check: Check) -> ToolTypeError:
    return ToolTypeError(
        prefix + name, f"{prefix}{name} = {reprlib.repr(value)} cannot work: it has to be {check.allowed}."
    )


def _parameters_of(function: Any) -> Mapping[str, inspect.Parameter] | None:
    try:
        # a wrapper may take more than what it wraps
        return inspect.signature(function, follow_wrapped=False).parameters
    except (ValueError, TypeError):
        # written in C
        return None


def _checks_of(function: Any) -> dict[str, Check]:
    return CHECKS.get(_hashable(function), {})


def _hashable(function: Any) -> Any:
    return function if getattr(type(function), "__hash__", None) else None


def _names_of(kind: Any) -> list[str]:
    if isinstance(kind, type):
        return [name for name in dir(kind) if not name.startswith("_") and not callable(getattr(kind, name))]
    return [name for name, one in inspect.signature(kind).parameters.items() if one.kind is not one.VAR_KEYWORD]
