"""The configuration that is in effect, defaults included, as lines that may be shown: secrets are not in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kirsch.spec import Stack
from kirsch.spec.stack import dump_json

HIDDEN = "••••••"
#: Lines of one group that are shown; a stack may have ten thousand vhosts.
LINES_SHOWN = 60
GROUPS_SHOWN = 40

# SECURITY: whoever looks over a shoulder, or at a screenshot, must not read credentials. Too much hidden harms nobody.
_SECRET_KEY = re.compile(
    r"(?i)pass|secret|token|credential|private|salt|signature|dsn|api_?key|auth_?key|(?:^|[._-])key$"
)
#: Keys that look secret, and hold paths or names.
_PLAIN_KEYS = frozenset({"tls.key", "auth.users_file"})
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")
_ASSIGNED = re.compile(r"(?i)((?:pass\w*|secret|token|key|pwd)[\w-]*\s*[=:]\s*)[^&;,\s]+")
_ARGUMENTS = re.compile(r"\(.+\)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Group:
    """What was said of one thing (``app shop``): (key, value) in the order of the file; *more* are left out."""

    name: str
    lines: tuple[tuple[str, str], ...]
    more: int = 0


class Effective:
    """Keeps the lines of the stack that it was asked for last: a stack changes with a roll only."""

    def __init__(self) -> None:
        self._stack: Stack | None = None
        self._groups: tuple[Group, ...] = ()

    def of(self, stack: Stack) -> tuple[Group, ...]:
        """Return the lines of *stack*."""
        if stack is not self._stack:
            self._groups = describe_stack(stack)
            self._stack = stack
        return self._groups


def describe_stack(stack: Stack) -> tuple[Group, ...]:
    """Return what is in effect, a group for each app, pool and vhost."""
    data = json.loads(dump_json(stack))
    groups = []
    rest = {name: value for name, value in data.items() if name not in {"apps", "pools", "vhosts"}}
    groups.append(_group("stack", rest))
    for plural, word in (("apps", "app"), ("pools", "pool"), ("vhosts", "vhost")):
        things = list(data[plural].items())
        groups += [_group(f"{word} {name}", value) for name, value in things[:GROUPS_SHOWN]]
        if len(things) > GROUPS_SHOWN:
            groups.append(Group(f"more {plural}", (), len(things) - GROUPS_SHOWN))
    return tuple(groups)


def _group(name: str, data: dict[str, Any]) -> Group:
    lines = [(key, value) for key, value in _flatten(data, "") if key != "name" or name == "stack"]
    return Group(name, tuple(lines[:LINES_SHOWN]), max(0, len(lines) - LINES_SHOWN))


def _flatten(data: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (key path, value) of every leaf; what says nothing (None, an empty table) is left out."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _flatten(value, f"{path}.{name}" if path else name)
    elif isinstance(data, list) and any(isinstance(one, dict | list) for one in data):
        for number, value in enumerate(data):
            yield from _flatten(value, f"{path}[{number}]")
    elif data is not None and data != []:
        yield path, _shown(path, data)


def _shown(path: str, value: Any) -> str:
    """Return a value without its secrets."""
    is_plain = any(path == key or path.endswith(f".{key}") for key in _PLAIN_KEYS)
    names = path.split(".")
    if not is_plain and ("env" in names or "users" in names or _SECRET_KEY.search(path)):
        return HIDDEN
    if isinstance(value, list):
        return ", ".join(_shown(path, one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str):
        return str(value)
    if names[-1] == "entry":
        value = _ARGUMENTS.sub("(…)", value)
    return _ASSIGNED.sub(rf"\1{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", value))
