"""A page that finds requests and responses which should be gone: mount ``GCRoot()`` and look at ``/stats``."""

from __future__ import annotations

import gc
import inspect
import sys
import time
from types import FrameType
from typing import Any, ClassVar

from cherrypy.context import serving
from cherrypy.core.expose import expose
from cherrypy.core.request import Request
from cherrypy.core.response import Response
from cherrypy.process.plugins import SimplePlugin
from cherrypy.process.wspbus import bus

Tree = list[tuple[Any, list[Any]]]


class ReferrerTree:
    """What keeps an object alive, its keepers, and so on.

    Args:
        ignore: objects that do not count (modules, the collector's own lists).
        maxdepth: generations to go up.
        maxparents: of one object, to show.
    """

    peek_length = 40

    def __init__(self, ignore: list[Any] | None = None, maxdepth: int = 2, maxparents: int = 10) -> None:
        self.ignore = [*(ignore or []), inspect.currentframe(), sys.modules]
        self.maxdepth = maxdepth
        self.maxparents = maxparents

    def ascend(self, obj: Any, depth: int = 1) -> Tree:
        """The keepers of *obj*: (keeper, its keepers) pairs, as deep as ``maxdepth``."""
        parents: Tree = []
        if depth > self.maxdepth:
            return parents
        referrers = gc.get_referrers(obj)
        self.ignore.append(referrers)
        if len(referrers) > self.maxparents:
            return [(f"[{len(referrers)} referrers]", [])]
        for referrer in referrers:
            if isinstance(referrer, FrameType) or any(referrer is one for one in self.ignore):
                continue
            parents.append((referrer, self.ascend(referrer, depth + 1)))
        return parents

    def peek(self, s: str) -> str:
        """*s*, its middle left out if it is longer than ``peek_length``."""
        if len(s) <= self.peek_length:
            return s
        half = self.peek_length // 2
        return f"{s[:half]}..{s[-half:]}"

    def _format(self, obj: Any, descend: bool = True) -> str:
        """A short description of *obj*, with its contents if *descend*."""
        if isinstance(obj, str | bytes | int | float | type(None)):
            return self.peek(repr(obj))
        kind = type(obj).__name__
        if descend and isinstance(obj, dict):
            inside = [f"{self._format(key, False)}: {self._format(value, False)}" for key, value in obj.items()]
            return f"{kind}: {self.peek(', '.join(inside))}"
        if descend and isinstance(obj, list | tuple | set):
            return f"{kind}: {self.peek(', '.join(self._format(one, False) for one in obj))}"
        return f"{kind} {self.peek(object.__repr__(obj))}"

    def format(self, tree: Tree) -> list[str]:
        """The lines that show *tree*, as ``ascend`` returned it."""
        lines: list[str] = []

        def walk(branch: Tree, depth: int) -> None:
            for keeper, keepers in branch:
                lines.append("    " * depth + self._format(keeper))
                walk(keepers, depth + 1)

        walk(tree, 0)
        return lines


def get_instances(cls: type) -> list[Any]:
    """All living instances of *cls*."""
    return [obj for obj in gc.get_objects() if issubclass(type(obj), cls)]


class RequestCounter(SimplePlugin):
    """Counts the requests that are being served, in ``count``."""

    count = 0

    def start(self) -> None:
        """Begin at nought."""
        self.count = 0

    def before_request(self) -> None:
        """One more."""
        self.count += 1

    def after_request(self) -> None:
        """One less."""
        self.count -= 1


# subscribed by the first GCRoot: importing starts nothing
request_counter = RequestCounter(bus)


def get_context(obj: Any) -> str:
    """What tells *obj* from others of its kind: path and stage of a request, status of a response."""
    if isinstance(obj, Request):
        return f"path={obj.path_info};stage={obj.stage}"
    if isinstance(obj, Response):
        return f"status={obj.status}"
    environ = getattr(obj, "environ", None)
    if isinstance(environ, dict):
        return f"PATH_INFO={environ.get('PATH_INFO')}"
    if hasattr(obj, "tb_lineno"):
        return f"tb_lineno={obj.tb_lineno}"
    return ""


class GCRoot:
    """A root object whose pages tell whether anything leaks.

    Attributes:
        classes: (class, fewest, most, why) that may live while a page of ours is served.
    """

    classes: ClassVar[list[tuple[type, int, int, str]]] = [
        (Request, 2, 2, "Should be 1 in this request thread and 1 in the main thread."),
        (Response, 2, 2, "Should be 1 in this request thread and 1 in the main thread."),
    ]

    def __init__(self) -> None:
        request_counter.subscribe()

    @expose
    def index(self) -> str:
        """A page to ask for many times."""
        return "Hello, world!"

    @expose
    def stats(self) -> str:
        """Collect garbage and describe what should not be there; just 'Statistics:' when all is well."""
        output = ["Statistics:"]
        output += self._open_requests()
        # a collection may set objects free that only the next one finds
        unreachable = sum(gc.collect() for _ in range(3))
        if gc.garbage:
            output.append(f"\n{len(gc.garbage)} of {unreachable} unreachable objects cannot be freed:")
            output += self._count_types(gc.garbage)
        return "\n".join(output + self._leaks())

    def _leaks(self) -> list[str]:
        lines: list[str] = []
        for _ in range(20):
            lines = [line for check in self.classes for line in self._check_class(*check)]
            if not lines:
                break
            # a thread that has just ended its request still has it in hand
            time.sleep(0.05)
        return lines

    def _open_requests(self) -> list[str]:
        for _ in range(20):
            if request_counter.count < 2:
                return []
            # requests of other threads end in their own time
            time.sleep(0.05)
        return ["\nNot all requests closed properly."]

    def _count_types(self, objects: list[Any]) -> list[str]:
        counts: dict[str, int] = {}
        for obj in objects:
            name = f"{type(obj).__module__}.{type(obj).__name__}"
            counts[name] = counts.get(name, 0) + 1
        return [f"{count} {name}" for name, count in sorted(counts.items())]

    def _check_class(self, cls: type, fewest: int, most: int, why: str) -> list[str]:
        living = get_instances(cls)
        if fewest <= len(living) <= most:
            return []
        lines = [f"\n{cls.__module__}.{cls.__name__}: {len(living)} instances, {fewest} to {most} expected. {why}"]
        ours = (serving.request, serving.response)
        for obj in living:
            if any(obj is one for one in ours):
                continue
            lines.append(f"\nREFERRERS TO {get_context(obj)} {object.__repr__(obj)}")
            tree = ReferrerTree(ignore=[living], maxdepth=3)
            lines += tree.format(tree.ascend(obj))
        return lines
