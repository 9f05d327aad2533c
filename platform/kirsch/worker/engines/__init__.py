"""Servers that can run inside a worker, by the name that a pool says in ``engine``.

One process a seat, whichever it is: the supervisor is the only parent, so gunicorn runs without its arbiter and uWSGI
without its master. Both serve in threads of the worker process, whose main thread hears signals and the heart beats.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from kirsch.errors import SuperviseError
from kirsch.link.order import Order
from kirsch.worker.voice import Voice


class Engine(Protocol):
    """A server inside a worker. It is made before the applications are imported, and started after."""

    may_finalize: bool
    """False where the interpreter cannot be taken down in good order, as threads of C go on."""

    def __init__(self, order: Order, voice: Voice) -> None: ...

    def prepare(self) -> None:
        """Do what has to be done before the applications are imported."""

    def start(self, path: str) -> None:
        """Serve what is mounted on a Unix socket; return once connections are accepted."""

    def is_well(self) -> bool:
        """True as long as it serves."""

    def shed(self) -> None:
        """Make the next answer of every connection that is open now its last."""

    def ask_to_leave(self) -> None:
        """Ask streams and WebSockets to come to an end; everything else goes on."""

    def drain(self, deadline_s: float) -> bool:
        """Make every answer the last of its connection; True once no connection is left, within *deadline_s*."""

    def stop(self) -> None:
        """Stop serving and close everything."""


#: Where each engine is: imported only by workers that run it, since what it needs is optional.
ENGINES: Mapping[str, str] = {
    "native": "kirsch.worker.engines.native:NativeEngine",
    "gunicorn": "kirsch.worker.engines.gunicorn:GunicornEngine",
    "uwsgi": "kirsch.worker.engines.uwsgi:UWSGIEngine",
}
#: What has to be installed, by the module that is missing without it.
_PACKAGES = {"gunicorn": "gunicorn", "pyuwsgi": "pyuwsgi"}


def find_engine(name: str) -> type[Engine]:
    """Return the engine called *name*.

    Raises:
        SuperviseError: there is none, or what it needs is not installed; the text says what to do.
    """
    if name not in ENGINES:
        raise SuperviseError(f"engine {name!r} is not there; allowed: {', '.join(ENGINES)}")
    module_name, _, class_name = ENGINES[name].partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get((error.name or "").partition(".")[0])
        if package is None:
            raise
        raise SuperviseError(
            f"engine {name!r} needs the package {package}, which is not installed in the release's environment: "
            f"pip install 'kirsch[{name}]', or write {package} into the stack's requirements"
        ) from error
    return cast("type[Engine]", getattr(module, class_name))
