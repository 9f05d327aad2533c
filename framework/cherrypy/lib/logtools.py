"""Tools that write to the log: the traceback, the request's headers, its hooks."""

from __future__ import annotations

import logging

from cherrypy.context import serving
from cherrypy.core.hooks import hookpoints
from cherrypy.core.logs import log
from cherrypy.core.urls import url


def log_traceback(severity: int = logging.ERROR, debug: bool = False) -> None:
    """Write the exception that is being handled to the error log."""
    log("", "HTTP", severity=severity, traceback=True)


def log_request_headers(debug: bool = False) -> None:
    """Write the request's headers to the error log."""
    request = serving.request
    # header_list stays empty until someone fills it; the map is always there
    pairs = request.header_list or request.headers.items()
    log("\nRequest Headers:\n" + "\n".join(f"  {name.title()}: {value}" for name, value in pairs), "HTTP")


def log_hooks(debug: bool = False) -> None:
    """Write the hooks of the request, by point and in order, to the error log."""
    hooks = serving.request.hooks
    points = [*hookpoints, *sorted(point for point in hooks if point not in hookpoints)]
    lines = []
    for point in points:
        lines.append(f"    {point}:")
        lines.extend(f"        {hook!r}" for hook in sorted(hooks.get(point, [])))
    log(f"\nRequest Hooks for {url()}:\n" + "\n".join(lines), "HTTP")
