"""Active only with CPSUITE_FORBID set: importing one of these packages from code under test raises ImportError.

The tests themselves may import them. Child processes (cherryd) are watched too, since PYTHONPATH is inherited.
"""

from __future__ import annotations

import builtins
import os
import sys
from typing import Any

_forbidden = set(filter(None, os.environ.get("CPSUITE_FORBID", "").split(",")))
_target = os.path.realpath(os.environ.get("CPSUITE_TARGET", "/nonexistent")) + os.sep
_log = os.environ.get("CPSUITE_FORBID_LOG")


def _refuse(name: str, importer: str) -> None:
    """Raise if *importer* is a file under test."""
    importer = os.path.realpath(importer)
    if not importer.startswith(_target):
        return
    if _log:
        with open(_log, "a") as log:
            log.write(f"{name} imported by {importer}\n")
    raise ImportError(f"forbidden by --forbid: {name} in {importer}")


class _Finder:
    """Sees the imports that do not go through ``__import__``."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] not in _forbidden:
            return
        frame = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            if "importlib" not in file and file != __file__:
                _refuse(name, file)
                return
            frame = frame.f_back  # type: ignore[assignment]


if _forbidden:
    _import = builtins.__import__

    def _guarded(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        # Packages that are imported already are found here only.
        if level == 0 and globals and name.partition(".")[0] in _forbidden:
            _refuse(name, globals.get("__file__") or "")
        return _import(name, globals, locals, fromlist, level)

    builtins.__import__ = _guarded
    sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
