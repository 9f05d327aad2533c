"""What the applications of a stack say in their files: configurations, and lines of code that are known by name.

Nothing of theirs is imported or run; what only the code decides is not seen.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cherrypy.lib.reprconf import as_dict
from kirsch.check.finding import Place
from kirsch.spec import App, Stack

FILES_LIMIT = 3000
"""Python files looked at; a stack's folder with more has a virtual environment in it."""
FILE_LIMIT_BYTES = 1_000_000
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "venv", ".venv", "env"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of an app's CherryPy configuration."""

    app: App
    section: str
    key: str
    value: Any
    place: Place


@dataclass(frozen=True, slots=True)
class Line:
    """A call or an assignment in an app's code: its name and its literal arguments."""

    name: str
    arguments: Mapping[str, Any]
    place: Place


def settings_of(stack: Stack, stack_file: str) -> list[Setting]:
    """Every key of every app's configuration, in the order of the files.

    Raises:
        OSError, ValueError: a file cannot be read.
    """
    return [setting for app in stack.apps.values() for setting in _of_app(app, stack, stack_file)]


def _of_app(app: App, stack: Stack, stack_file: str) -> Iterator[Setting]:
    if app.config is None:
        return
    if isinstance(app.config, str):
        file, sections = app.config, dict(as_dict(os.path.join(stack.directory, app.config)))
        for section, values in sections.items():
            for key, value in values.items():
                yield Setting(app, section, key, value, Place(file, f"[{section}] {key}"))
        return
    for key, value in app.config.items():
        name = f"app.{app.name}.config"
        if isinstance(value, dict):
            for inner, one in value.items():
                yield Setting(app, key, inner, one, Place(stack_file, f'{name}."{key}"."{inner}"'))
        else:
            yield Setting(app, "/", key, value, Place(stack_file, f'{name}."{key}"'))


def lines_of(stack: Stack, names: frozenset[str]) -> list[Line]:
    """Calls of, and assignments to, *names* in the Python files of the stack's folder."""
    return [line for path in _python_files(Path(stack.directory)) for line in _in_file(path, stack.directory, names)]


def _python_files(folder: Path) -> Iterator[Path]:
    count = 0
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        for name in sorted(files):
            if name.endswith(".py") and count < FILES_LIMIT:
                count += 1
                yield Path(here, name)


def _in_file(path: Path, directory: str, names: frozenset[str]) -> Iterator[Line]:
    try:
        if path.stat().st_size > FILE_LIMIT_BYTES:
            return
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text) if any(name in text for name in names) else None
    except (OSError, SyntaxError, ValueError):
        return  # what cannot be read fails at the worker's boot, with a better text
    for node in ast.walk(tree) if tree is not None else ():
        place = Place(f"{os.path.relpath(path, directory)}:{getattr(node, 'lineno', 0)}", "")
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in names:
                given: dict[str, Any] = {str(word.arg): _literal(word.value) for word in node.keywords}
                given |= {str(number): _literal(arg) for number, arg in enumerate(node.args)}
                yield Line(name, given, Place(place.file, name))
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names:
            name = node.targets[0].id
            yield Line(name, {"0": _literal(node.value)}, Place(place.file, name))


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
