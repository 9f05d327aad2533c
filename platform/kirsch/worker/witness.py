"""Names the handlers that nobody else names: of requests that take their time, by the stacks of their threads.

A page of CherryPy is announced when it is called, and a graft says its app's name. What stands before a page says
nothing, a dispatcher or a middleware of the application's, as no request that ends soon needs it: once a second the
worker looks.
"""

from __future__ import annotations

import os
import sys
from types import FrameType

from kirsch.scoreboard import Handler, Writer
from kirsch.worker.desk import Pages
from kirsch.worker.naming import name_code

#: A request is worth a look after this long.
SLOW_NS = 200_000_000


def name_slow_handlers(writer: Writer, pages: Pages, release_dir: str) -> None:
    """Write the handlers of requests that have been inside for a while, as far as they are code of the release."""
    slow = [(row, begun) for row in tuple(writer.rows) if (begun := row.find_unnamed(SLOW_NS, pages.unnamed))]
    if not slow:
        return
    frames = sys._current_frames()
    for row, begun in slow:
        frame = find_application(frames.get(row.ident), release_dir + os.sep)
        if frame is not None:
            code = name_code(frame.f_code)
            row.name_handler(begun, writer.number(Handler("", code, "", code)))


def find_application(frame: FrameType | None, folder: str) -> FrameType | None:
    """Return the outermost frame whose code lies below *folder*: where the server called the application."""
    found = None
    while frame is not None:
        if frame.f_code.co_filename.startswith(folder):
            found = frame
        frame = frame.f_back
    return found
