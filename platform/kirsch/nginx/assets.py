"""Files that nginx sends by itself: folders of the release, and assets whose names change with their content."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kirsch.nginx.directives import Block, Expr, Node, block, directive, row
from kirsch.nginx.fields import fields_file
from kirsch.nginx.guards import closed
from kirsch.nginx.handlers import derived_files
from kirsch.nginx.scope import Scope
from kirsch.spec import App, HostPaths, Vhost

OLD_RELEASES = 3
"""So many releases keep their assets reachable: pages of the old one are open in browsers while the new one rolls."""

_TYPES = {
    "application/gzip": "gz",
    "application/json": "json map",
    "application/ld+json": "jsonld",
    "application/manifest+json": "webmanifest",
    "application/pdf": "pdf",
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "application/wasm": "wasm",
    "application/xhtml+xml": "xhtml",
    "application/zip": "zip",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "oga ogg opus",
    "audio/wav": "wav",
    "font/otf": "otf",
    "font/ttf": "ttf",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "image/avif": "avif",
    "image/gif": "gif",
    "image/jpeg": "jpg jpeg",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/vnd.microsoft.icon": "ico",
    "image/webp": "webp",
    "text/calendar": "ics",
    "text/css": "css",
    "text/csv": "csv",
    "text/html": "html htm",
    "text/javascript": "js mjs",
    "text/markdown": "md",
    "text/plain": "txt",
    "text/vtt": "vtt",
    "text/xml": "xml",
    "video/mp4": "mp4",
    "video/mpeg": "mpeg mpg",
    "video/ogg": "ogv",
    "video/webm": "webm",
}


def types() -> Block:
    """Which suffix is what."""
    return block("types", body=[row(name, *suffixes.split()) for name, suffixes in _TYPES.items()])


def asset_locations(scope: Scope, vhost: Vhost, app: App) -> Iterable[Block]:
    """The locations of *app*'s files; what is not there is asked of the app, at :func:`fallback`."""
    for path, target in files_of(scope, app).items():
        full = app.mount.rstrip("/") + path
        words = ("^~", f"{full}/") if target.endswith("/") else ("=", full)
        found = [directive("alias", target), directive("try_files", Expr("$uri"), fallback(app))]
        yield block("location", *words, body=[*_shared(scope, vhost), *(found if target.endswith("/") else found[:1])])
    for path, folder in app.assets.items():
        yield _immutable(scope, vhost, app, path, folder)


def has_files(scope: Scope, app: App) -> bool:
    """True when some location of *app* needs :func:`fallback`."""
    return bool(app.assets or files_of(scope, app))


def files_of(scope: Scope, app: App) -> dict[str, str]:
    """Path below the mount to absolute path on disk; of folders with a slash at its end."""
    derived = derived_files(scope.ground.sections.get(app.name, {})) if app.offload else {}
    # through the link: another release is no other configuration
    named = {path: f"{scope.paths.current}/{folder.strip('/')}/" for path, folder in app.files.items()}
    return {**derived, **named}


def fallback(app: App) -> str:
    """The location of *app* for what nginx has no file of."""
    return f"@{app.name}"


def releases_folder(paths: HostPaths) -> str:
    """The folder of links to the current release and those before it."""
    return f"{paths.nginx}/releases"


def _immutable(scope: Scope, vhost: Vhost, app: App, path: str, folder: str) -> Block:
    """Where the name of a file says what is in it: kept for ever, and found in any release that has it."""
    full, inside = app.mount.rstrip("/") + path, folder.strip("/")
    places = [Expr(f"/{name}/{inside}/$kirsch_asset") for name in ("current", *range(1, OLD_RELEASES + 1))]
    found = block(
        "location",
        "~",
        Expr(f"^{re.escape(full)}/(?<kirsch_asset>.+)$"),
        body=[
            *_shared(scope, vhost),
            directive("root", releases_folder(scope.paths)),
            directive("add_header", "Cache-Control", "public, max-age=31536000, immutable"),
            directive("try_files", *places, fallback(app)),
        ],
    )
    return block("location", "^~", f"{full}/", body=[found])


def _shared(scope: Scope, vhost: Vhost) -> list[Node]:
    return [*closed(vhost), directive("include", fields_file(scope, vhost)), directive("charset", "off")]
