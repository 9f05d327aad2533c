"""What the operator wrote about one application."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from kirsch.spec.accel import SentFolder
from kirsch.spec.canary import Canary, Mirror
from kirsch.spec.healthcheck import HealthCheck
from kirsch.spec.name import Name, Text
from kirsch.spec.route import Route, RoutePath

MOUNT_RULE = 'a path: "/" or "/legacy", from letters, digits and - . _ ~, without a slash at its end'
ENTRY_RULE = (
    '"package.module:object" (a CherryPy root or Application, a WSGI or ASGI callable, or a factory), '
    '"package.module:factory(1, debug=False)" with literals, or "manage.py" of a Django project'
)
_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_DOTTED = rf"{_WORD}(?:\.{_WORD})*"

Mount = Annotated[
    str,
    msgspec.Meta(
        # '.' and '..' as whole segments are refused: clients and nginx resolve them before the match
        pattern=r"^(?:/|(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+)\Z",
        max_length=200,
        description=MOUNT_RULE,
    ),
]
Entry = Annotated[
    str,
    msgspec.Meta(
        # a folder is no "..": only the stack's folder is copied to the hosts
        pattern=rf"^(?:{_DOTTED}:{_DOTTED}(?:\([^\x00-\x1f\x7f]*\))?|(?:(?!\.{{1,2}}/)[A-Za-z0-9._~-]+/)*manage\.py)\Z",
        description=ENTRY_RULE,
    ),
]
WarmPath = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^/[\x21-\x22\x24-\x7e]*\Z",
        max_length=1000,
        description='a path with its query, below the mount: "/", "/search?q=tea"',
    ),
]
EnvName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?!KIRSCH_)[A-Za-z_][A-Za-z0-9_]*\Z",
        description="the name of an environment variable (letters, digits, '_'; KIRSCH_* are the platform's own)",
    ),
]
EnvValue = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*\Z", description="text without NUL")]


class App(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One entry point with its mount path, configuration and environment."""

    name: Name
    entry: Entry
    mount: Mount = "/"
    pool: Name = "web"
    """The pool whose workers serve it."""
    # a plain str: msgspec 0.22 crashes at exit after converting to a union of a str with a pattern and a dict
    config: str | dict[str, Any] | None = None
    """CherryPy configuration: a file under the stack's folder, or the table itself."""
    env: dict[EnvName, EnvValue] = {}
    """Environment variables of the workers; those of other apps of the pool are not there while it is imported."""
    directory: Text | None = None
    """Folder that goes to the front of ``sys.path`` and becomes the working one, relative to the stack's folder."""
    warm_up: tuple[WarmPath, ...] = ()
    """Paths below the mount that a new worker asks itself for before it gets requests."""
    isolate: bool = False
    """A failure at its import fails its own mount (503) and not the worker, so its neighbours go on."""
    routes: dict[RoutePath, Route] = {}
    """Parts of the app for which nginx does something else, by their path below the mount."""
    files: dict[RoutePath, Text] = {}
    """Folders below the stack's that nginx serves by itself, by their path below the mount."""
    assets: dict[RoutePath, Text] = {}
    """The same for files whose name changes with their content: browsers keep them, and those of the releases before
    are there as well."""
    canary: Canary | None = None
    """Another app that a share of the clients gets instead."""
    mirror: Mirror | None = None
    """Another app that gets a copy of the requests."""
    offload: bool = False
    """Let nginx serve what ``tools.staticdir`` and ``tools.staticfile`` of ``config`` do. Only where no code protects
    those files: nginx asks nobody."""
    accel: tuple[SentFolder, ...] = ()
    """Folders whose large files nginx sends where a page answers with one (``serve_file``): who may have it is still
    the page's to say."""
    checks: dict[Name, HealthCheck] = {}
    """Health checks beside those that its code names with ``@cherrypy.health``."""
    log: Name | None = None
    """What stands before its lines in the worker's log, where it writes to ``wsgi.errors``; None for its name."""
