"""How the site under test is run: in this process, by one server object or the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn
from wsgiref import validate as wsgi_validate

import cherrypy


class Supervisor:
    """Something that starts and stops a server; keyword arguments become attributes."""

    def __init__(self, **kwargs: Any) -> None:
        for name, value in kwargs.items():
            setattr(self, name, value)


class LocalSupervisor(Supervisor):
    """Runs the site in this process.

    Attributes:
        httpserver_class: dotted name of the server object's class.
        using_apache, using_wsgi: for tests that differ by it.
    """

    using_apache = False
    using_wsgi = False
    httpserver_class: Any = None
    teardown: Any = None
    host = "127.0.0.1"
    port = 0

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        cherrypy.server.httpserver = self.httpserver_class
        # Applications must not write over the report of their tests.
        cherrypy.config.update({"log.screen": False})
        # Only the main thread of a test run may have the signals.
        engine: Any = cherrypy.engine
        engine.signals.subscribe()

    def start(self, modulename: str | None = None) -> None:
        """Start the engine with the site as it is mounted now."""
        # A dotted name stands for a server object that is made when the settings are known.
        cherrypy.server.httpserver, cherrypy.server.bind_addr = cherrypy.server.httpserver_from_self(
            cherrypy.server.httpserver
        )
        cherrypy.engine.start()
        self.sync_apps()

    def sync_apps(self) -> None:
        """Tell the server of applications that were mounted after it was made."""

    def stop(self) -> None:
        """Stop the engine, and forget named servers."""
        if self.teardown is not None:
            self.teardown()
        engine: Any = cherrypy.engine
        engine.exit()
        # The test run has its signals back: SIGTERM is to end it.
        engine.signals.unsubscribe()
        servers = getattr(cherrypy, "servers", {})
        for name, server in list(servers.items()):
            server.unsubscribe()
            del servers[name]


class NativeServerSupervisor(LocalSupervisor):
    """Runs the site on the server without WSGI."""

    httpserver_class = "cherrypy._cpnative_server.CPHTTPServer"

    def __str__(self) -> str:
        return f"Builtin HTTP Server on {self.host}:{self.port}"


class LocalWSGISupervisor(LocalSupervisor):
    """Runs the site on the default server."""

    httpserver_class = "cherrypy._cpwsgi_server.CPWSGIServer"
    using_wsgi = True
    validate = False

    def __str__(self) -> str:
        return f"Builtin WSGI Server on {self.host}:{self.port}"

    def sync_apps(self) -> None:
        """Serve the tree of now, checked by wsgiref's validator if ``validate``."""
        cherrypy.server.httpserver.wsgi_app = self.get_app()

    def get_app(self, app: Any = None) -> Any:
        """*app*, or the tree, with what stands around it."""
        served = cherrypy.tree if app is None else app
        return wsgi_validate.validator(served) if self.validate else served


# {name of the function that made one: what it drove}
GONE = {
    "get_cpmodpy_supervisor": "mod_python through our own gateway",
    "get_modpygw_supervisor": "mod_python through a WSGI gateway",
    "get_modwsgi_supervisor": "Apache with mod_wsgi",
    "get_modfcgid_supervisor": "Apache with mod_fcgid",
    "get_modfastcgi_supervisor": "Apache with mod_fastcgi",
}


def gone(name: str) -> Callable[..., NoReturn]:
    """A stand-in for the supervisor *name* of an old Apache module, which raises NotImplementedError."""

    def refuse(**options: Any) -> NoReturn:
        raise NotImplementedError(
            f"{name}() ran the tests under {GONE[name]}, by configuration files for versions of Apache that nobody "
            "maintains. Test with default_server = 'wsgi', 'wsgi_u' or 'native', and the deployment as a whole."
        )

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def log_to_stderr(msg: str, level: int) -> None:
    """A listener of the bus's log channel for those who want to watch."""
    sys.stderr.write(f"{msg}\n")
