"""Profiles of pages by ``cProfile``, and a small site to read them.

>>> class Root:
...     profiler = Profiler('/tmp/profiles')
...     def index(self):
...         return self.profiler.run(self._index)
"""

from __future__ import annotations

import cProfile
import html
import io
import itertools
import os
import pstats
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import NotFound
from cherrypy.core.expose import expose
from cherrypy.lib.standalone import serve_alone

_count = itertools.count(1)
_counting = threading.Lock()
_PROFILE_NAME = re.compile(r"cp_[0-9]{1,12}\.prof", re.ASCII)


def new_func_strip_path(func_name: tuple[str, int, str]) -> tuple[str, int, str]:
    """Shorten the file of a (file, line, function) triple to its name, and its folder's if that says more."""
    filename, line, name = func_name
    if filename.endswith("__init__.py"):
        return os.path.join(os.path.basename(os.path.dirname(filename)), "__init__.py"), line, name
    return os.path.basename(filename), line, name


class Profiler:
    """Runs functions and keeps one profile of each run.

    Args:
        path: the directory of the profiles; default: ``profile`` in the current one.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path or os.path.join(os.getcwd(), "profile")
        os.makedirs(self.path, exist_ok=True)

    def run(self, func: Callable[..., Any], *args: Any, **params: Any) -> Any:
        """Call *func* under the profiler, keep the profile, return the result."""
        with _counting:
            number = next(_count)
            while os.path.exists(path := os.path.join(self.path, f"cp_{number:04d}.prof")):
                number = next(_count)
        profile = cProfile.Profile()
        try:
            return profile.runcall(func, *args, **params)
        finally:
            profile.dump_stats(path)

    def statfiles(self) -> list[str]:
        """The names of the profiles, in order."""
        return sorted(name for name in os.listdir(self.path) if _PROFILE_NAME.fullmatch(name))

    def stats(self, filename: str, sortby: str = "cumulative") -> str:
        """The table of the profile *filename*, sorted by a key of ``pstats``."""
        output = io.StringIO()
        table = pstats.Stats(os.path.join(self.path, filename), stream=output)
        table.strip_dirs()
        table.sort_stats(sortby)
        table.print_stats()
        return output.getvalue()

    @expose
    def index(self) -> str:
        """The site: a list of profiles, and the one that was chosen."""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Profiles</title></head>\n'
            '<body style="margin: 0; display: flex; height: 100vh">\n'
            '<iframe src="menu" style="width: 14em; border: 0"></iframe>\n'
            '<iframe name="main" style="flex: 1; border: 0"></iframe>\n</body>\n</html>\n'
        )

    @expose
    def menu(self) -> str:
        """The list of profiles."""
        links = [f'<p><a href="report?filename={name}" target="main">{name}</a></p>' for name in self.statfiles()]
        return "<h2>Profiles</h2>\n" + ("\n".join(links) or "<p>No profiles yet.</p>")

    @expose
    def report(self, filename: str) -> str:
        """The table of one profile.

        Raises:
            NotFound: there is none of this name.

        SECURITY: *filename* is the client's; only names that ``run`` gives are looked at.
        """
        if filename not in self.statfiles():
            raise NotFound()
        serving.response.headers["Content-Type"] = "text/html;charset=utf-8"
        return f"<pre>{html.escape(self.stats(filename))}</pre>"


class ProfileAggregator(Profiler):
    """Keeps one profile of all runs together."""

    def __init__(self, path: str | None = None) -> None:
        super().__init__(path)
        with _counting:
            self.count = next(_count)
        self._lock = threading.Lock()
        self._total: pstats.Stats | None = None

    def run(self, func: Callable[..., Any], *args: Any, **params: Any) -> Any:
        """Call *func* under the profiler, add its profile to the others, return the result."""
        profile = cProfile.Profile()
        try:
            return profile.runcall(func, *args, **params)
        finally:
            with self._lock:
                if self._total is None:
                    self._total = pstats.Stats(profile)
                else:
                    self._total.add(profile)
                self._total.dump_stats(os.path.join(self.path, f"cp_{self.count:04d}.prof"))


class make_app:
    """WSGI middleware that profiles each request of the application inside.

    Args:
        nextapp: the WSGI application.
        path: the directory of the profiles.
        aggregate: one profile for all requests.
    """

    def __init__(self, nextapp: Callable[..., Any], path: str | None = None, aggregate: bool = False) -> None:
        self.nextapp = nextapp
        self.aggregate = aggregate
        self.profiler = ProfileAggregator(path) if aggregate else Profiler(path)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request; its body is collected, so that making it counts."""

        def gather() -> list[bytes]:
            body = self.nextapp(environ, start_response)
            try:
                return list(body)
            finally:
                close = getattr(body, "close", None)
                if close is not None:
                    close()

        result: list[bytes] = self.profiler.run(gather)
        return result


def serve(path: str | None = None, port: int = 8080) -> None:
    """Serve the profiles in *path* as a site on *port*, until interrupted."""
    serve_alone(Profiler(path), port)
