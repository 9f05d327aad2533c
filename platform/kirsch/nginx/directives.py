"""nginx text: the only place where a value becomes configuration.

The tree is ours (:class:`Directive`, :class:`Block`), the printing is nginx-config-builder's. That library writes
values as they come and keys its lists by name, so that a second ``server`` would replace the first; here every value is
quoted by its type and every node is wrapped, so that nothing is lost or reordered.

======================  ==========================================  =====================================
type of the value       what is written                             refused
======================  ==========================================  =====================================
``str``                 that text, to the letter                    control characters, ``$``, > 4000 octets
``Expr``                text with nginx variables in it             control characters, > 4000 octets
``int``                 digits                                      negative numbers, ``bool``
======================  ==========================================  =====================================

SECURITY: nginx has no way to write a literal ``$`` where a directive takes variables, so a text that holds one is
refused: it would read a variable of nginx's (``$http_cookie``) into a place where the operator wrote a name.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from nginx.config import api

from kirsch.errors import Problem, SpecError

TOKEN_LIMIT_BYTES = 4000
"""nginx reads its files through a buffer of 4096 octets, and one parameter has to fit into it."""

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
# bare words: everything else is quoted. '#', ';', '{', '}', quotes, backslashes and blanks mean something to nginx.
_BARE = re.compile(r"[A-Za-z0-9_./:@%+=,~^*?!&|<>-]+\Z")
_BARE_EXPR = re.compile(r"[A-Za-z0-9_./:@%+=,~^*?!&|<>$-]+\Z")


@dataclass(frozen=True, slots=True)
class Expr:
    """Text in which ``$name`` is a variable of nginx's; for our own constants only, never for what somebody wrote."""

    text: str


Value = str | int | Expr


@dataclass(frozen=True, slots=True)
class Directive:
    """One line: a name, its values, a semicolon."""

    name: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table (``map``, ``types``): its key is a value too."""

    key: Value
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A name, its values, and what stands between the braces."""

    name: str
    values: tuple[Value, ...] = ()
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Comment:
    """One line for the reader."""

    text: str


Node = Directive | Row | Block | Comment


def directive(name: str, *values: Value) -> Directive:
    """``directive("listen", "0.0.0.0:80", "default_server")``."""
    return Directive(name, values)


def row(key: Value, *values: Value) -> Row:
    """``row("default", "")``."""
    return Row(key, values)


def block(name: str, *values: Value, body: Iterable[Node] = ()) -> Block:
    """``block("location", "=", "/livez", body=[directive("return", 404)])``."""
    return Block(name, values, tuple(body))


def size(octets: int) -> str:
    """*octets* the way nginx writes sizes: ``100m``, ``64k``, ``1000``."""
    for unit, factor in (("m", 2**20), ("k", 2**10)):
        if octets and not octets % factor:
            return f"{octets // factor}{unit}"
    return str(int(octets))


def seconds(value: float) -> str:
    """*value* seconds the way nginx writes times: ``60s``, ``500ms``."""
    milliseconds = round(value * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def quote(value: Value, where: str = "value") -> str:
    """*value* as one nginx token that means exactly it.

    ``quote("a b") == '"a b"'``, ``quote("") == '""'``, ``quote(Expr("$host")) == "$host"``.

    Raises:
        SpecError: the value cannot be written; *where* is the key in the problem.
    """
    if isinstance(value, int):
        if isinstance(value, bool) or value < 0:
            raise _refused(where, repr(value), "a number from 0")
        return str(int(value))
    text = value.text if isinstance(value, Expr) else value
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise _refused(where, repr(text), "text without control characters")
    if isinstance(value, str) and "$" in text:
        raise _refused(where, repr(text), "text without '$', which nginx would take for a variable")
    if (_BARE_EXPR if isinstance(value, Expr) else _BARE).match(text):
        token = text
    else:
        mark = "'" if '"' in text and "'" not in text else '"'
        token = mark + text.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark
    octets = len(token.encode())
    if octets > TOKEN_LIMIT_BYTES:
        raise _refused(where, f"{repr(text)[:40]}… ({octets} octets)", f"at most {TOKEN_LIMIT_BYTES} octets")
    return token


def render(nodes: Iterable[Node]) -> str:
    """The text of a configuration file, ending in a newline.

    Raises:
        SpecError: a value that cannot be written, see the table above.
    """
    return str(api.EmptyBlock(*[_Printed(_printed(node)) for node in nodes])).lstrip("\n") + "\n"


class _Printed(api.EmptyBlock):  # type: ignore[misc]
    """Text of the library's, printed before: it only moves in by a few columns.

    Nameless, since the library keys what has a name by that name, and keeps one of each.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def __repr__(self) -> str:
        # no value holds a line break, so every one is the library's own
        return self._text.replace("\n", f"\n{self._get_indent()}")


@functools.lru_cache(maxsize=4096)
def _printed(node: Node) -> str:
    """*node* as the library prints it.

    PERF: ten thousand vhosts share most of their lines and locations: 6.7 s for all of them without this, 3.0 with.
    """
    if isinstance(node, Block):
        head = " ".join([_name(node.name), *[_quoted(value, node.name) for value in node.values]])
        return str(api.Block(head, *[_Printed(_printed(child)) for child in node.children]))
    if isinstance(node, Comment):
        # the printer's comments are one line; a line break in one would end it
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in node.text):
            raise _refused("comment", repr(node.text), "text without control characters")
        return str(api.Comment(comment=node.text))
    if isinstance(node, Row):
        return str(api.KeyOption(" ".join(_quoted(value, "row") for value in (node.key, *node.values))))
    return str(api.KeyOption(" ".join([_name(node.name), *[_quoted(value, node.name) for value in node.values]])))


def _name(name: str) -> str:
    if not _NAME.match(name):
        raise _refused("directive", repr(name), "the name of a directive")
    return name


# typed: 1 and True are equal, and one of them is refused
_quoted = functools.lru_cache(maxsize=4096, typed=True)(quote)


def _refused(where: str, given: str, allowed: str) -> SpecError:
    return SpecError([Problem(file="", key=f"nginx {where}", given=given, allowed=allowed)])
