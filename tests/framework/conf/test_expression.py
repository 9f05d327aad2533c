"""Values of configuration files: what is allowed, and what is not."""

from __future__ import annotations

import os
import string

import pytest

from cherrypy.conf.expression import attributes, modules, unrepr


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("1", 1),
        ("-1.5", -1.5),
        ("'text'", "text"),
        ("b'bytes'", b"bytes"),
        ("None", None),
        ("True", True),
        ("[1, 'two', (3,)]", [1, "two", (3,)]),
        ("{'a': {'b': 1}, **dict(c=2)}", {"a": {"b": 1}, "c": 2}),
        ("'a' + 'b'", "ab"),
        ("60 * 60 * 2", 7200),
        ("int('12')", 12),
        ("dict(*[[('a', 1)]], **{'b': 2})", {"a": 1, "b": 2}),
        ("dict(a='out', **{'a': 'in'})", {"a": "out"}),
        ("dict(**{'a': 'first'}, **{'a': 'second'})", {"a": "first"}),
        ("[10, 20, 30][1]", 20),
        ("'abcdef'[-1]", "f"),
        ("string.digits", string.digits),
        ("os.path.join('a', 'b')", "a/b"),
        ("xml.sax.saxutils.escape('<')", "&lt;"),
        ("\n[1,\n 2]", [1, 2]),
        ("'x'  # why", "x"),
    ],
)
def test_allowed(text: str, value: object) -> None:
    """Each kind of expression."""
    assert unrepr(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "lambda: 1",
        "[x for x in (1,)]",
        "1 if True else 2",
        "1 - 2",
        "2 ** 9",
        "not True",
        "1 < 2",
        "f'{1}'",
        "{1, 2}",
        "(x := 1)",
        "[1, 2][0:1]",
        "nowhere_to_be_found",
        "await x",
        "1 and 2",
    ],
)
def test_refused(text: str) -> None:
    """What would make a file a program."""
    with pytest.raises((TypeError, SyntaxError)):
        unrepr(text)


@pytest.mark.parametrize("text", ["1)(", "a b", "'open", "1; 2", "x = 1", "1) + (2"])
def test_no_expression(text: str) -> None:
    """Or more than one."""
    with pytest.raises((SyntaxError, TypeError)):
        unrepr(text)


def test_names_are_found_by_dots() -> None:
    """Modules are imported for it."""
    assert modules("os.path") is os.path
    assert attributes("os.path.join") is os.path.join
    with pytest.raises(AttributeError, match="nothing"):
        attributes("os.path.nothing")
    with pytest.raises(ImportError):
        attributes("no.such.module")
