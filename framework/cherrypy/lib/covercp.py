"""A page that shows which lines of which modules have run, from data of the package ``coverage``.

>>> cherrypy.engine.subscribe('start', covercp.start)          # collect from the start of the site
"""

from __future__ import annotations

import html
import importlib
import os
import re
import urllib.parse
from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import NotFound
from cherrypy.core.expose import expose
from cherrypy.lib.standalone import serve_alone

localFile = os.path.join(os.path.dirname(__file__), "coverage.cache")

# The ``coverage.Coverage`` at work; None when the package is missing or nothing was started.
the_coverage: Any = None

Node = dict[str, Any]


def start() -> None:
    """Begin to collect; does nothing without the package ``coverage``."""
    global the_coverage
    try:
        coverage = importlib.import_module("coverage")
    except ImportError:
        return
    if the_coverage is None:
        the_coverage = coverage.Coverage(data_file=localFile)
        the_coverage.start()


start.priority = 20  # type: ignore[attr-defined]


def _percent(statements: int, missing: int) -> int:
    return 0 if not statements else round(100 * (statements - missing) / statements)


def _skip_file(path: str, exclude: str | None) -> bool:
    return bool(exclude) and re.search(exclude or "", path) is not None


def _is_below(path: str, folder: str) -> bool:
    """True for what lies in *folder*; a sibling whose name begins alike does not."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _graft(path: str, tree: Node) -> None:
    """Hang *path* into *tree*: a dict by folder, files lead to None."""
    *folders, name = [part for part in path.split(os.sep) if part]
    for folder in folders:
        tree = tree.setdefault(folder, {})
    tree[name] = None


def get_tree(base: str, exclude: str | None, coverage: Any = None) -> Node:
    """The measured files below *base* that do not match *exclude*, as nested dicts."""
    coverage = coverage or the_coverage
    tree: Node = {}
    for path in sorted(coverage.get_data().measured_files() if coverage is not None else ()):
        if path.startswith(base) and not _skip_file(path, exclude):
            _graft(path, tree)
    return tree


class CoverStats:
    """The site: mount it where only developers come.

    Args:
        coverage: a ``coverage.Coverage``.
        root: the folder to show; default: the current one.
    """

    def __init__(self, coverage: Any, root: str | None = None) -> None:
        self.coverage = coverage
        self.root = os.path.abspath(root or os.getcwd())

    @expose
    def index(self) -> str:
        """A list of files beside the one that was chosen."""
        base = urllib.parse.quote(self.root)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Coverage</title></head>\n'
            '<body style="margin: 0; display: flex; height: 100vh">\n'
            f'<iframe src="menu?base={base}" style="width: 22em; border: 0"></iframe>\n'
            '<iframe name="main" style="flex: 1; border: 0"></iframe>\n</body>\n</html>\n'
        )

    @expose
    def menu(
        self, base: str = "/", pct: str = "50", showpct: str = "", exclude: str = r"python\d\.\d|test|tut\d|tutorial"
    ) -> str:
        """The files below *base*; with *showpct*, how much of each has run, in bold below *pct* percent."""
        try:
            threshold, _ = int(pct), re.compile(exclude)
        except (ValueError, re.error):
            threshold, exclude = 50, ""
        lines = ["<h2>Coverage</h2>", "<pre>"]
        for path in sorted(self._files(base, exclude)):
            label = html.escape(os.path.relpath(path, self.root))
            link = f'<a href="report?name={urllib.parse.quote(path)}" target="main">{label}</a>'
            if showpct:
                percent = self._percent_of(path)
                link = f"{percent:3d}% {f'<b>{link}</b>' if percent < threshold else link}"
            lines.append(link)
        return "\n".join([*lines, "</pre>"])

    def _files(self, base: str, exclude: str) -> list[str]:
        top = base if _is_below(base, self.root) else self.root
        return [
            path
            for path in self.coverage.get_data().measured_files()
            if _is_below(path, top) and not _skip_file(path, exclude)
        ]

    def _percent_of(self, path: str) -> int:
        _, statements, _, missing, _ = self.coverage.analysis2(path)
        return _percent(len(statements), len(missing))

    @expose
    def report(self, name: str) -> str:
        """The source of one file, line by line.

        Raises:
            NotFound: *name* was not measured, or lies elsewhere.

        SECURITY: *name* is the client's; only measured files below the root are shown.
        """
        if name not in self._files(self.root, ""):
            raise NotFound()
        filename, statements, excluded, missing, _ = self.coverage.analysis2(name)
        serving.response.headers["Content-Type"] = "text/html;charset=utf-8"
        head = f"<h2>{html.escape(name)}: {_percent(len(statements), len(missing))}%</h2>\n"
        return head + self.annotated_file(filename, statements, excluded, missing)

    def annotated_file(self, filename: str, statements: list[int], excluded: list[int], missing: list[int]) -> str:
        """The lines of *filename* as HTML: run, not run, or neither."""
        shades = {
            **dict.fromkeys(statements, "#dfd"),
            **dict.fromkeys(missing, "#fdd"),
            **dict.fromkeys(excluded, "#eee"),
        }
        with open(filename, encoding="utf-8", errors="replace") as source:
            lines = [
                f'<div style="background: {shades.get(number, "none")}">{number:5d}  {html.escape(line.rstrip())}</div>'
                for number, line in enumerate(source, 1)
            ]
        return f"<pre>{''.join(lines)}</pre>"


def serve(path: str = localFile, port: int = 8080, root: str | None = None) -> None:
    """Serve the coverage data in the file *path* as a site on *port*, until interrupted.

    Raises:
        ImportError: the package ``coverage`` is missing.
    """
    coverage = importlib.import_module("coverage").Coverage(data_file=path)
    coverage.load()
    serve_alone(CoverStats(coverage, root), port)
