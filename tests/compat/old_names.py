"""Writes the type stubs of the old modules (``_cptools.pyi`` and the like): the names that surface.json keeps of them.

The modules have no file, ``cherrypy._aliases`` makes them at run time; type checkers and editors read these. After one
of their names has moved:

    python tests/compat/old_names.py
"""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cherrypy
from cherrypy import _aliases

sys.path.insert(0, str(Path(__file__).parent))

import surface

PACKAGE = Path(cherrypy.__file__).parent
NAMES = tuple(_aliases._TABLE)
HEAD = '"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""\n\n'
BYTES_OR_TEXT = "text_or_bytes: tuple[type[str], type[bytes]]"


def stub_of(name: str) -> str:
    """The text of the stub of the old module *name*."""
    state = vars(getattr(cherrypy, name))
    keys = sorted(surface.load()[f"cherrypy.{name}"])
    lines = [line_of(key, state[key], state["_owners"].get(key)) for key in keys]
    imports = sorted((line for line in lines if line.startswith("from ")), key=order)
    groups = [[line for line in imports if is_ours(line) is ours] for ours in (False, True)]
    groups.append([line for line in lines if not line.startswith("from ")])
    # without it a name that was called otherwise would not count as one for others
    groups.append(["__all__ = [", *(f'    "{key}",' for key in keys), "]"])
    return HEAD + "\n\n".join("\n".join(group) for group in groups if group) + "\n"


def is_ours(line: str) -> bool:
    """True for an import from this package."""
    return line.startswith("from cherrypy")


def order(line: str) -> tuple[str, str]:
    """By module, then by name."""
    words = line.split(" ")
    return words[1], words[3]


def line_of(key: str, value: Any, owner: ModuleType | None) -> str:
    """How *key* stands in a stub."""
    if key == "text_or_bytes":
        return BYTES_OR_TEXT
    if inspect.ismodule(value):
        home, _, name = value.__name__.rpartition(".")
    elif (inspect.isclass(value) or inspect.isfunction(value)) and "." not in value.__qualname__:
        home, name = value.__module__, value.__name__
    else:
        home, name = home_of(key, value, owner), key
    return f"from {home} import {name}" + (f" as {key}" if key != name else "")


def home_of(key: str, value: Any, owner: ModuleType | None) -> str:
    """The module that assigns the constant *key*, which *owner* has."""
    if owner is None:
        # "inf", the only one
        return next(module for module in ("math",) if getattr(sys.modules[module], key) is value)
    candidates = [owner, *(module for name, module in sys.modules.items() if name.startswith("cherrypy."))]
    for module in candidates:
        has_it = vars(module).get(key) is value and getattr(module, "__file__", None)
        if has_it and key in assigned_in(module):
            return module.__name__
    raise LookupError(f"nobody assigns {key}")


def assigned_in(module: ModuleType) -> set[str]:
    """The names that *module* itself assigns at its top level."""
    return {
        target.id
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


def main() -> None:
    """Write all of them."""
    for name in NAMES:
        (PACKAGE / f"{name}.pyi").write_text(stub_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
