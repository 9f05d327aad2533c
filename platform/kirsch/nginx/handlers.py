"""What an application's own configuration says about its handlers, as nginx needs it.

Only what stands in the file or table that the stack names is known here: nothing of an application is imported. So its
static folders are handed to nginx only where the operator says ``offload = true``: what else protects them may stand in
code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kirsch.spec import Bytes, Route
from kirsch.spec.route import ROUTE_PATTERN

Section = Mapping[str, object]
Sections = Mapping[str, Section]

BODY_MARGIN_BYTES = 65536
"""nginx lets a little more through than the application does, so that the application's own 413 is what is seen."""

_ROUTE = re.compile(ROUTE_PATTERN)
# tools that change nothing about who may have a file
HARMLESS = ("staticdir", "staticfile", "gzip", "encode", "etags", "expires", "caching", "log_tracebacks", "log_headers")


def derived_routes(sections: Sections) -> dict[str, Route]:
    """The routes that follow from *sections*: WebSockets, events, streams, uploads, and sizes of bodies.

    The path ``""`` is the application itself; a path that says the same as the one above it is left out.
    """
    found = {}
    for path, merged, above in _merged(sections):
        route = _route(merged)
        if route != (_route(above) if above is not None else Route()):
            found[path] = route
    return found


def derived_files(sections: Sections) -> dict[str, str]:
    """The folders and files that ``tools.staticdir`` and ``tools.staticfile`` serve: path to absolute path on disk.

    Those behind any other tool that is on stay the application's, and so does a folder with such a place below it.
    """
    found = {}
    everywhere = _merged(sections)
    for path, merged, _ in everywhere:
        own = sections.get(path or "/", {})
        below = [_tools(each) for other, each, _ in everywhere if f"{other}/".startswith(f"{path}/")]
        if not path or not set().union(*below) <= set(HARMLESS):
            continue
        for tool, key in (("staticdir", "dir"), ("staticfile", "filename")):
            name, root = own.get(f"tools.{tool}.{key}"), merged.get(f"tools.{tool}.root", "")
            is_plain = merged.get(f"tools.{tool}.on") is True and merged.get(f"tools.{tool}.match", "") == ""
            if is_plain and isinstance(name, str) and isinstance(root, str):
                full = name if name.startswith("/") or not root else f"{root.rstrip('/')}/{name}"
                if full.startswith("/"):
                    found[path] = full.rstrip("/") + ("/" if tool == "staticdir" else "")
    return found


def _route(merged: Section) -> Route:
    kind = "page"
    if merged.get("tools.websocket.on") is True:
        kind = "websocket"
    elif merged.get("tools.sse.on") is True:
        kind = "events"
    elif merged.get("request.process_request_body") is False:
        kind = "upload"
    elif merged.get("response.stream") is True:
        kind = "stream"
    limit = merged.get("request.body.maxbytes", merged.get("server.max_request_body_size"))
    is_limit = isinstance(limit, int) and not isinstance(limit, bool) and limit > 0
    body = Bytes(limit + BODY_MARGIN_BYTES) if is_limit and isinstance(limit, int) else None
    return Route(kind=kind, max_body=body)  # type: ignore[arg-type]


def _merged(sections: Sections) -> list[tuple[str, Section, Section | None]]:
    """Each path with all that holds there, and what holds above it; ``[global]`` lies under everything."""
    bottom = sections.get("global", {})
    paths = sorted({"", *(name.rstrip("/") for name in sections if _ROUTE.match(name.rstrip("/")))})
    holds: dict[str, Section] = {}
    found: list[tuple[str, Section, Section | None]] = []
    for path in paths:
        parents = [known for known in holds if path.startswith(f"{known}/")]
        above = holds[max(parents, key=len)] if parents and path else None
        holds[path] = {**(bottom if above is None else above), **sections.get(path or "/", {})}
        found.append((path, holds[path], above))
    return found


def _tools(merged: Section) -> set[str]:
    """The tools that are on, or may be: their switch is no literal, or set by code."""
    return {
        key.split(".")[1]
        for key, value in merged.items()
        if key.startswith("tools.") and key.endswith(".on") and value is not False
    }
