"""Addresses of pages, as the client sees them."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from cherrypy.context import serving

# Gives scheme://host outside a request. ``_wiring`` puts the server's own ``base`` here.
default_base: list[Callable[[], str]] = [lambda: "http://127.0.0.1"]

# SECURITY: browsers read "//host", "/\\host" and "/<tab>/host" as another server; these characters only ever begin a
# path that somebody made up.
_STRANGE = "/\\" + "".join(map(chr, range(0x21)))
_STRANGE_BEGIN = re.compile(f"[{re.escape(_STRANGE)}]*")

_LONG_PATH = 256

QueryString = str | Mapping[str, Any] | Iterable[tuple[str, Any]]


def url(
    path: str = "",
    qs: QueryString = "",
    script_name: str | None = None,
    base: str | None = None,
    relative: bool | str | None = None,
) -> str:
    """Return the URL of *path*, absolute unless *relative* says otherwise.

    Args:
        path: from the application's root if it begins with '/', else from the current page.
        qs: a query string, a dict, or pairs.
        script_name: where the application is mounted; default: the current request's.
        base: scheme and host; default: the current request's, outside one the server's.
        relative: False absolute; True relative to the current page; 'server' from the server's root;
            None as ``request.app.relative_urls`` says. A relative result never leads to another server.

    >>> url('/page', {'q': 'x'})            # inside a request to an application mounted at /app
    'http://localhost:8080/app/page?q=x'
    """
    request = serving.request
    if not isinstance(qs, str):
        qs = urllib.parse.urlencode(list(qs) if not isinstance(qs, Mapping) else qs)
    if qs:
        qs = "?" + qs
    if request.app:
        if not path.startswith("/"):
            path = _from_current_page(request, path)
        script_name = request.script_name if script_name is None else script_name
        base = request.base if base is None else base
    else:
        # no request: the application's mount point has to come from the caller
        base = default_base[0]() if base is None else base
        if path and not path.startswith("/") and not (script_name or "").endswith("/"):
            path = f"/{path}"
    local = f"{script_name or ''}{normalize_path(path)}"
    if local and not base:
        local = _STRANGE_BEGIN.sub("/", local, count=1)
    if relative is None:
        relative = getattr(request.app, "relative_urls", False)
    if relative == "server":
        return _from_server_root(base, local) + qs
    result = base + local + qs
    if relative and not request.app:
        # COMPAT: there is no page that it could be relative to; the tests of cherrypy_foundation pin this
        return result.split("://", 1)[-1]
    if relative:
        return _relative_to(url(relative=False), result)
    return result


def _from_server_root(base: str, local: str) -> str:
    """Return *local* below the path of *base*, which a proxy may have given one; it begins with exactly one slash."""
    _, separator, rest = base.partition("://")
    prefix = "/" + rest.partition("/")[2] if separator and "/" in rest else ""
    return _STRANGE_BEGIN.sub("/", prefix + local, count=1)


def _from_current_page(request: Any, path: str) -> str:
    """Join *path* to the current path_info, after the slash that trailing_slash would add or remove."""
    here: str = request.path_info
    if request.is_index is True:
        if not here.endswith("/"):
            here += "/"
    elif request.is_index is False and here.endswith("/") and here != "/":
        here = here[:-1]
    joined = here if path == "" else urllib.parse.urljoin(here, path)
    # "a:b" is a page here and no scheme; and urljoin loses the slash of "../page" at the root
    return joined if joined.startswith("/") else normalize_path(here[: here.rfind("/") + 1] + path)


def _relative_to(here: str, there: str) -> str:
    """Return the path from the page *here* to the page *there*, absolute URLs; *there* if it is on another server."""
    old = here.split("/")
    new = there.split("/")
    if old[:3] != new[:3]:
        return there
    old.pop()
    while old and new and old[0] == new[0]:
        old.pop(0)
        new.pop(0)
    path = "/".join([".."] * len(old) + new)
    first = path.partition("/")[0].partition("?")[0]
    if not first and path[:1] in ("", "?", "#") and here.endswith("/"):
        return path
    # RFC: 3986, 4.2: a first segment with a colon would be a scheme; without any segment it is the page itself
    return path if first and ":" not in first and first[0] not in _STRANGE else f"./{path}"


def normalize_path(path: str) -> str:
    """Resolve '.' and '..' segments: '/a/./b/../c' becomes '/a/c'. A path that goes above '/' stays at '/'."""
    if "./" not in path and not path.endswith("/.") and not path.endswith("/.."):
        return path
    atoms: list[str] = []
    segments = path.split("/")
    for atom in segments:
        if atom == ".":
            continue
        if atom == "..":
            # the first atom is the empty one before the leading slash
            if len(atoms) > 1 or (atoms and atoms[0]):
                atoms.pop()
            continue
        if atom or not atoms or atom is segments[-1]:
            atoms.append(atom)
    if segments[-1] in (".", ".."):
        atoms.append("")
    return "/".join(atoms) if atoms != [""] else "/"


def cut_long_path(path: str, keys: Collection[str]) -> str:
    """Return *path* without most of what lies beyond the longest of *keys*, for those who try all its parents.

    SECURITY: tried as often as it has slashes, a path of 16 KiB costs 0.1 s.
    """
    if len(path) <= _LONG_PATH:
        return path
    # one more, so that half a segment is never taken for a key
    return path[: max(map(len, keys), default=0) + 1]


def trim_script_name(script_name: str) -> str:
    """Return a mount point without slashes at its end: '/blog' for '/blog/', '' for '/'."""
    return script_name.rstrip("/")


def join_script_name(script_name: str, path_info: str) -> str:
    """Return both as one path with exactly one slash between them."""
    joined = f"{script_name}/{path_info}"
    while "//" in joined:
        joined = joined.replace("//", "/")
    return joined
