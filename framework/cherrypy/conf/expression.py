"""The values of configuration files: a small part of Python's expressions, evaluated by walking the syntax tree.

Allowed: names of modules and builtins, attributes, calls, subscripts, lists, tuples, dicts, constants, unary minus,
``+`` and ``*``. A configuration file is trusted like code (it may call anything it can name); what is refused is
everything that would make it a program: operators, comparisons, lambdas, comprehensions, f-strings, assignments.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import operator
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

ALLOWED = (
    "names of modules and builtins, attributes, calls, subscripts, lists, tuples, dicts, constants, unary -, + and *"
)

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {ast.Add: operator.add, ast.Mult: operator.mul}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg}


def unrepr(s: Any) -> Any:
    """The value of the expression *s*: ``"[1, 'two']"`` → ``[1, 'two']``; an empty string stays one.

    Raises:
        TypeError: a part of the expression is not allowed, or a name is neither a module nor a builtin.
        SyntaxError: *s* is no expression.

    Warns:
        UserWarning: something follows the expression; it is left out.
    """
    if not s:
        return s
    return _evaluate(_parse(s.strip()))


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        # COMPAT: CherryPy reads "8080; x" and "key = 8080" as 8080, so there are files that say it.
        first = ast.parse(f"value = {text}").body[0]
    warnings.warn(f"Only the first expression of the value {text!r} counts.", stacklevel=2)
    return first.value  # type: ignore[attr-defined, no-any-return]


def modules(modulePath: str) -> ModuleType:
    """The module with the dotted name *modulePath*, imported if need be.

    Raises:
        ImportError: there is none.
    """
    found = sys.modules.get(modulePath)
    if found is None:
        found = importlib.import_module(modulePath)
    return found


def attributes(full_attribute_name: str) -> Any:
    """The object with a dotted name: ``"os.path.join"`` → ``os.path.join``.

    Raises:
        ImportError: the part before the last dot is no module.
        AttributeError: the module has no such attribute.
    """
    module_path, _, name = full_attribute_name.rpartition(".")
    module = modules(module_path)
    try:
        return getattr(module, name)
    except AttributeError:
        raise AttributeError(f"{module_path!r} object has no attribute {name!r}") from None


def _evaluate(node: ast.AST) -> Any:
    step = STEPS.get(type(node))
    if step is None:
        raise _refused(node)
    return step(node)


def _refused(node: ast.AST) -> TypeError:
    return TypeError(f"unrepr does not recognize {type(node).__name__!r}; a value is made of {ALLOWED}")


def _name(node: ast.Name) -> Any:
    try:
        return modules(node.id)
    except ImportError:
        pass
    try:
        return getattr(builtins, node.id)
    except AttributeError:
        raise TypeError(
            f"unrepr could not resolve the name {node.id!r}: it is neither a module nor a builtin; text has quotes"
        ) from None


def _attribute(node: ast.Attribute) -> Any:
    parent = _evaluate(node.value)
    try:
        return getattr(parent, node.attr)
    except AttributeError:
        if not isinstance(parent, ModuleType):
            raise
        failure = sys.exc_info()[1]
    # A submodule that nobody has imported yet is no attribute of its package so far.
    try:
        return modules(f"{parent.__name__}.{node.attr}")
    except ImportError:
        raise failure or AttributeError(node.attr) from None


def _call(node: ast.Call) -> Any:
    positional: list[Any] = []
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            positional.extend(_evaluate(argument.value))
        else:
            positional.append(_evaluate(argument))
    named: dict[str, Any] = {}
    # COMPAT: a name given twice is no error; what is written out wins over **, and the first ** over the next.
    for keyword in sorted(node.keywords, key=lambda keyword: keyword.arg is None):
        given = _evaluate(keyword.value) if keyword.arg is None else {keyword.arg: _evaluate(keyword.value)}
        named = {**given, **named}
    return _evaluate(node.func)(*positional, **named)


def _dict(node: ast.Dict) -> dict[Any, Any]:
    built: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            built.update(_evaluate(value))
        else:
            built[_evaluate(key)] = _evaluate(value)
    return built


def _binary(node: ast.BinOp) -> Any:
    if type(node.op) not in BINARY:
        raise _refused(node.op)
    return BINARY[type(node.op)](_evaluate(node.left), _evaluate(node.right))


def _unary(node: ast.UnaryOp) -> Any:
    if type(node.op) not in UNARY:
        raise _refused(node.op)
    return UNARY[type(node.op)](_evaluate(node.operand))


STEPS: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.Constant: lambda node: node.value,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.Subscript: lambda node: _evaluate(node.value)[_evaluate(node.slice)],
    ast.List: lambda node: [_evaluate(item) for item in node.elts],
    ast.Tuple: lambda node: tuple(_evaluate(item) for item in node.elts),
    ast.Dict: _dict,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
}
