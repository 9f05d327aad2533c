"""What is left of the mod_python gateway: its names, each of which says what became of it."""

from __future__ import annotations

from typing import Any, NoReturn

GONE = (
    "{name} belongs to the mod_python gateway, which is not offered: Apache retired mod_python in 2010. Let "
    "cherrypy.server answer HTTP behind the web server, or give cherrypy.tree to mod_wsgi as its application."
)

recursive = False


def refuse(name: str) -> NoReturn:
    """Say that *name* is gone, and what to use.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(GONE.format(name=name))


def setup(req: Any) -> NoReturn:
    """Refuse; it was the configuration from Apache's options."""
    refuse("setup()")


def handler(req: Any) -> NoReturn:
    """Refuse; it was the function that Apache called for a request."""
    refuse("handler()")


def send_response(req: Any, status: Any, headers: Any, body: Any, stream: bool = False) -> NoReturn:
    """Refuse; it gave an answer to Apache."""
    refuse("send_response()")


def popen(fullcmd: str) -> NoReturn:
    """Refuse; it ran Apache. ``subprocess`` does that."""
    refuse("popen()")


def read_process(cmd: str, args: str = "") -> NoReturn:
    """Refuse; it ran Apache and read what it said. ``subprocess`` does that."""
    refuse("read_process()")


class ModPythonServer:
    """The server object that ran Apache; making one raises NotImplementedError."""

    template = ""

    def __init__(
        self,
        loc: str = "/",
        port: int = 80,
        opts: Any = None,
        apache_path: str = "apache",
        handler: str = "cherrypy._cpmodpy::handler",
    ) -> None:
        refuse(type(self).__name__)

    def start(self) -> NoReturn:
        """Refuse."""
        refuse(f"{type(self).__name__}.start()")

    def stop(self) -> NoReturn:
        """Refuse."""
        refuse(f"{type(self).__name__}.stop()")
