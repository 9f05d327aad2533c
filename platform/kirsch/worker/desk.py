"""Where one thread of a server keeps its row, and tells it which page runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from kirsch.scoreboard import NOBODY, Row, Writer
from kirsch.worker.naming import METHODS, OTHER_METHOD, find_page


class Known(dict[int, tuple[int, Hashable]]):
    """Pages that were asked for by one method: their numbers on the scoreboard, by the identity of what announces them.

    Each announcement stands here itself, so that no other gets its identity. Code objects and classes: clients cannot
    make it grow. PERF: a code object's hash takes 0.3 us.
    """

    def __init__(self, writer: Writer, method: str) -> None:
        self.method = method
        self.nobody = writer.number(NOBODY._replace(method=method))
        """What requests count as that no page answers."""


class Pages:
    """The pages of a worker's applications, as its scoreboard knows them."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.by_method = {method: Known(writer, method) for method in METHODS}
        self.other = Known(writer, OTHER_METHOD)
        """Of all methods that are none of HTTP's own."""
        self.unnamed = frozenset({0, self.other.nobody, *[known.nobody for known in self.by_method.values()]})
        """What requests count as before a page is announced."""

    def learn(self, known: Known, key: Hashable) -> tuple[int, Hashable]:
        """Give a page that is asked for the first time its number."""
        found = known[id(key)] = (self._writer.number(find_page(key, known.method)), key)
        return found


class Desk:
    """One thread's: each page is announced to it, and it tells the row.

    The native server's pages are (``message.entering``), and through WSGI those of CherryPy (``cherrypy.entering``).
    """

    __slots__ = ("_handled_by", "_pages", "announce", "known", "let_go", "row")

    def __init__(self, row: Row, pages: Pages) -> None:
        self.row = row
        self.known = pages.other
        """The pages of the method that is asked by."""
        self._pages = pages
        self._handled_by = row.handled_by
        self.let_go: Callable[[Hashable], None] = _go_on
        # PERF: making a bound method anew takes 0.04 us
        self.announce = self._announce

    def _announce(self, key: Hashable) -> None:
        found = self.known.get(id(key))
        if found is None:
            if key.__class__ is tuple:
                self.let_go(key)  # a WSGI application's: its graft says its name
                return
            found = self._pages.learn(self.known, key)
        self._handled_by(found[0])
        self.let_go(key)


def _go_on(key: Hashable) -> None:
    """Servers of others do not remember which pages block."""


class Desks(threading.local):
    """``mine`` is the desk of the thread that asks."""

    def __init__(self, writer: Writer, pages: Pages) -> None:
        self.mine = Desk(writer.mine.row, pages)
