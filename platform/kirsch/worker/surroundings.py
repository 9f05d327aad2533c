"""What an application finds around it while it is imported: its folder, its ``sys.path``, its environment.

A process has one of each. While an app is imported and its factory called, they are that app's alone; once all are
there, the working directory is the first app's and the environment holds the variables of all. Where two apps want
different values of one variable the first in the stack's order has its way from then on, and the log says so: an app
that reads such a variable in its requests needs a pool of its own.
"""

from __future__ import annotations

import importlib.machinery
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kirsch.errors import SuperviseError
from kirsch.spec import App

log = logging.getLogger(__name__)


def is_project(app: App) -> bool:
    """True where the entry is a Django project's ``manage.py``."""
    return ":" not in app.entry and os.path.basename(app.entry) == "manage.py"


def folder_of(app: App, release_dir: str) -> str:
    """The absolute folder that *app* is imported from: its ``directory``, or where its ``manage.py`` is."""
    inner = os.path.dirname(app.entry) if is_project(app) else ""
    return os.path.normpath(os.path.join(release_dir, app.directory or ".", inner))


@contextmanager
def surround(app: App, neighbours: Sequence[App], release_dir: str) -> Iterator[str]:
    """For the time of the block, let the process be what *app* expects; yields its folder.

    *neighbours* are all apps of the worker: the process was started with the variables of all of them.
    """
    before = {name: os.environ.get(name) for one in neighbours for name in one.env}
    folder = folder_of(app, release_dir)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)
    os.chdir(folder)
    for name in before:
        os.environ.pop(name, None)
    os.environ.update(app.env)
    try:
        yield folder
    finally:
        # what the application itself has set stays: Django's manage.py and wsgi.py do that
        for name, value in before.items():
            if value is not None:
                os.environ[name] = value


def settle_process(apps: Sequence[App], release_dir: str) -> None:
    """Leave the process as it stays: the first app's folder, everybody's variables."""
    taken: dict[str, App] = {}
    for app in apps:
        for name, value in app.env.items():
            first = taken.setdefault(name, app)
            if first.env[name] != value:
                log.warning(
                    "apps %s and %s want different values of %s; after their imports it is %s's: "
                    "give them pools of their own if they read it later", first.name, app.name, name, first.name,
                )  # fmt: skip
    os.environ.update({name: app.env[name] for name, app in taken.items()})
    if apps:
        os.chdir(folder_of(apps[0], release_dir))


def refuse_hidden(app: App, module: str, folder: str) -> None:
    """Refuse a module of *app* that is hidden by one of the same name, imported by a neighbour from another folder.

    Raises:
        SuperviseError: it is; Python would silently give this app the other one's code.
    """
    top = module.partition(".")[0]
    known = getattr(sys.modules.get(top), "__spec__", None)
    own = importlib.machinery.PathFinder.find_spec(top, [folder])
    if known is None or own is None or known.origin is None or own.origin is None:
        return
    if os.path.realpath(known.origin) != os.path.realpath(own.origin):
        raise SuperviseError(
            f"app {app.name}: its module {top} ({own.origin}) is hidden by {known.origin}, which another app of the "
            "worker has imported; rename one of them, or give one app a pool of its own"
        )
