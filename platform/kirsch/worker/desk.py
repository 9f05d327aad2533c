"""Where one thread of a server keeps its row, and tells it which page runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from types import CodeType

from kirsch.scoreboard import Row, Writer

#: Pages of all applications, as the scoreboard calls them, by identity; each stands there itself, so that no other gets
#: its identity. Code objects and classes: clients cannot make it grow. PERF: a code object's hash takes 0.3 us.
_names: dict[int, tuple[bytes, Hashable]] = {}


class Desk:
    """One thread's: each page is announced to it, and it tells the row.

    The native server's pages are (``message.entering``), and through WSGI those of CherryPy (``cherrypy.entering``).

    PERF: 0.25 us a request, with everything that `Account` does for it.
    """

    __slots__ = ("_handled_by", "announce", "let_go", "row")

    def __init__(self, row: Row) -> None:
        self.row = row
        self._handled_by = row.handled_by
        self.let_go: Callable[[Hashable], None] = _go_on
        # PERF: making a bound method anew takes 0.04 us
        self.announce = self._announce

    def _announce(self, key: Hashable) -> None:
        known = _names.get(id(key))
        if known is None:
            if key.__class__ is tuple:
                self.let_go(key)  # a WSGI application's: its graft says its name
                return
            known = _names[id(key)] = (name_page(key), key)
        self._handled_by(known[0])
        self.let_go(key)


def _go_on(key: Hashable) -> None:
    """Servers of others do not remember which pages block."""


class Desks(threading.local):
    """``mine`` is the desk of the thread that asks."""

    def __init__(self, writer: Writer) -> None:
        self.mine = Desk(writer.mine.row)


def name_page(key: Hashable) -> bytes:
    """Return what to call a page by the key that the framework announces it with.

    The code object of ``Shop.cart`` in ``shop/web.py`` gives ``shop/web.py: Shop.cart``; a class gives its name.
    """
    if isinstance(key, CodeType):
        file = "/".join(key.co_filename.split(os.sep)[-2:])
        return f"{file}: {key.co_qualname}".encode("utf-8", "replace")
    name = key.__qualname__ if isinstance(key, type) else type(key).__qualname__
    return name.encode("utf-8", "replace")
