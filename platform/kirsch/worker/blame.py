"""What an operator has to see of a traceback: the application's own frames and the error, not the way to them."""

from __future__ import annotations

import importlib
import os
import traceback

_OURS = (os.path.dirname(__file__) + os.sep, importlib.__file__, "<frozen importlib")


def format_blame(error: BaseException) -> str:
    """Return the traceback of *error* and its causes without the frames of the loader and of the import system.

    >>> try:
    ...     importlib.import_module("nothing_at_all")
    ... except ImportError as error:
    ...     "importlib" in format_blame(error)
    False
    """
    found = traceback.TracebackException.from_exception(error)
    pending = [found]
    while pending:
        one = pending.pop()
        one.stack[:] = [frame for frame in one.stack if not frame.filename.startswith(_OURS)]
        pending += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other is not None]
    return "".join(found.format())
