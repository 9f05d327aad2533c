"""What the keys of ``tools.sessions`` may be: looked at once, when a page's configuration is compiled."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

from cherrypy.lib.sessions.serializer import is_serializer

# What a value must be: a test, and its words.
Rule = tuple[Callable[[Any], bool], str]

_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
# RFC 6265, 4.1.1: anything but controls and ';' may stand in an attribute
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]*", re.ASCII)

SAMESITE = {"lax": "Lax", "strict": "Strict", "none": "None"}


def is_number(value: Any) -> bool:
    """True for an int or a float."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_attribute(value: Any) -> bool:
    """True for what may be the value of a cookie's attribute."""
    return isinstance(value, str) and _ATTRIBUTE.fullmatch(value) is not None


def _is_switch(value: Any) -> bool:
    # COMPAT: whatever is true or false has always been taken; SECURITY: but not a text that says the opposite
    return not (isinstance(value, str) and value.strip().lower() in ("0", "false", "no", "none", "off"))


SWITCH: Rule = (_is_switch, "True or False")
ATTRIBUTE: Rule = (
    lambda value: value is None or is_attribute(value),
    "text without ';' and control characters, or None",
)
SECONDS: Rule = (lambda value: is_number(value) and value > 0, "a number of seconds above 0")

# In the order of the manual.
RULES: dict[str, Rule] = {
    # COMPAT: nothing at all has always meant 'explicit'
    "locking": (
        lambda value: not value or value in ("implicit", "early", "explicit"),
        "'implicit', 'early' or 'explicit'",
    ),
    "path": ATTRIBUTE,
    "path_header": (lambda value: value is None or isinstance(value, str), "the name of a header, or None"),
    "name": (lambda value: isinstance(value, str) and _COOKIE_NAME.fullmatch(value) is not None, "a cookie's name"),
    "timeout": (is_number, "a number of minutes"),
    "domain": ATTRIBUTE,
    "secure": SWITCH,
    "clean_freq": (lambda value: is_number(value) and value >= 0, "a number of minutes, 0 for never"),
    "persistent": SWITCH,
    "httponly": SWITCH,
    "debug": SWITCH,
    "samesite": (
        lambda value: not value or (isinstance(value, str) and value.lower() in SAMESITE),
        "'Lax', 'Strict', 'None' (as text), or None for no such attribute",
    ),
    "serializer": (is_serializer, "'json', 'pickle' or an object with dumps and loads"),
    "lock_timeout": (
        lambda value: value is None or isinstance(value, datetime.timedelta) or (is_number(value) and value >= 0),
        "a number of seconds, a timedelta, or None (or 0) to wait for ever",
    ),
}


def check_settings(settings: Mapping[str, Any], rules: Mapping[str, Rule] = RULES) -> None:
    """Look at the values in *settings* that *rules* know.

    Raises:
        ValueError: one is not allowed; the text names the key, the value, and what is.
    """
    for name, (is_allowed, allowed) in rules.items():
        if name in settings and not is_allowed(settings[name]):
            raise ValueError(f"tools.sessions.{name} must be {allowed}, not {settings[name]!r}")
