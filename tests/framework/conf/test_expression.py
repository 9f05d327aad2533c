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
    ("text", "construct"),
    [
        ("lambda: 1", "Lambda"),
        ("[x for x in (1,)]", "ListComp"),
        ("{x for x in (1,)}", "SetComp"),
        ("{x: 1 for x in (1,)}", "DictComp"),
        ("(x for x in (1,))", "GeneratorExp"),
        ("1 if True else 2", "IfExp"),
        ("1 - 2", "Sub"),
        ("4 / 2", "Div"),
        ("4 // 2", "FloorDiv"),
        ("4 % 2", "Mod"),
        ("2 ** 9", "Pow"),
        ("1 << 2", "LShift"),
        ("4 >> 1", "RShift"),
        ("1 | 2", "BitOr"),
        ("1 & 2", "BitAnd"),
        ("1 ^ 2", "BitXor"),
        ("[1] @ [2]", "MatMult"),
        ("+1", "UAdd"),
        ("~1", "Invert"),
        ("not True", "Not"),
        ("1 < 2", "Compare"),
        ("1 and 2", "BoolOp"),
        ("f'{1}'", "JoinedStr"),
        ("{1, 2}", "Set"),
        ("(x := 1)", "NamedExpr"),
        ("[1, 2][0:1]", "Slice"),
        ("[*(1, 2)]", "Starred"),
        ("await x", "Await"),
        ("yield 1", "Yield"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_refused(text: str, construct: str) -> None:
    """What would make a file a program; the error names it, and what is allowed."""
    with pytest.raises(TypeError, match=f"does not recognize '{construct}'; a value is made of names of modules"):
        unrepr(text)


@pytest.mark.parametrize("text", ["nowhere_to_be_found", "localhost", "on", "nowhere.to.be.found"])
def test_a_name_of_nothing_is_named(text: str) -> None:
    """Nearly always it is text without its quotes."""
    with pytest.raises(TypeError, match=f"name {text.split('.')[0]!r}: it is neither a module nor a builtin; text has"):
        unrepr(text)


@pytest.mark.parametrize("text", ["1)(", "a b", "'open", "1) + (2", "/srv/data", "127.0.0.1", "8080 ; the port", "  "])
def test_no_expression(text: str) -> None:
    """The text is that of Python's parser."""
    with pytest.raises(SyntaxError):
        unrepr(text)


@pytest.mark.parametrize("text", ["8080;", "8080 ; port", "key = 8080", "8080\n\nport"])
def test_what_follows_a_value_is_left_out_with_a_warning(text: str) -> None:
    """CherryPy reads such files without a word."""
    with pytest.warns(UserWarning, match="Only the first expression of the value"):
        value = unrepr(text)

    assert value == 8080


def test_names_are_found_by_dots() -> None:
    """Modules are imported for it."""
    assert modules("os.path") is os.path
    assert attributes("os.path.join") is os.path.join
    with pytest.raises(AttributeError, match="nothing"):
        attributes("os.path.nothing")
    with pytest.raises(ImportError):
        attributes("no.such.module")
