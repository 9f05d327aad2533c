"""Reading an application's configuration without running it (live): literals; everything else is None, unknown."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

from kirsch.spec import App


def read_sections(app: App, directory: str) -> dict[str, dict[str, object]]:
    """The sections of *app*'s file or table; a value that is no literal is None.

    A file that cannot be read has none: the worker says what is wrong with it, and it knows better.
    """
    if app.config is None:
        return {}
    if isinstance(app.config, dict):
        tables = {name: value for name, value in app.config.items() if isinstance(value, dict)}
        loose = {name: value for name, value in app.config.items() if not isinstance(value, dict)}
        return {**tables, "/": {**loose, **tables.get("/", {})}}
    parser = configparser.ConfigParser(interpolation=None, default_section="kirsch has no default section")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(Path(directory, app.config).read_text(encoding="utf-8"))
    except (OSError, ValueError, configparser.Error):
        return {}
    return {name: _literals(parser[name]) for name in parser.sections()}


def _literals(section: configparser.SectionProxy) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, text in section.items():
        try:
            found[key] = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found[key] = None
    return found
