"""What the sections of an application's configuration say for its pages, without asking for any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import cherrypy


def chain(
    application: cherrypy.Application, path: str, values: Mapping[str, Any] | None = None, at: str | None = None
) -> dict[str, Any]:
    """Return what the site's configuration and the application's sections say together for *path*.

    It is as if *values* stood in section *at*, or in the site's configuration where that is None.
    """
    merged = dict(cherrypy.config)
    if values and at is None:
        merged |= values
    for section in _sections_to(path):
        merged |= application.config.get(section, {})
        if values and section == at:
            merged |= values
    return merged


def chains(application: cherrypy.Application) -> Iterator[dict[str, Any]]:
    """Yield ``chain`` of every path that has a section, and of "/"."""
    for path in {"/", *(section for section in application.config if section.startswith("/"))}:
        yield chain(application, path)


def below(application: cherrypy.Application, path: str) -> list[str]:
    """Return *path*, and the paths below it that have sections."""
    start = path.rstrip("/") + "/"
    return [path, *(section for section in application.config if section.startswith(start) and section != path)]


def _sections_to(path: str) -> list[str]:
    """``"/a/b"``: ``["/", "/a", "/a/b"]``."""
    names = [name for name in path.split("/") if name]
    return ["/", *("/" + "/".join(names[:count]) for count in range(1, len(names) + 1))]
