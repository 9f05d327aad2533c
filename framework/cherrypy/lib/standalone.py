"""Serving one object as a site of its own, for the tools that people start from a shell.

The function that can do it belongs to a higher room: ``_wiring`` puts ``cherrypy.quickstart`` here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

quickstart: list[Callable[[Any, str, dict[str, Any]], Any]] = []


def serve_alone(root: Any, port: int) -> None:
    """Serve *root* on *port*, production settings, until interrupted.

    Raises:
        RuntimeError: ``cherrypy`` itself was not imported.
    """
    if not quickstart:
        raise RuntimeError("import cherrypy first")
    settings = {"server.socket_port": int(port), "server.thread_pool": 10, "environment": "production"}
    quickstart[-1](root, "", {"global": settings})
