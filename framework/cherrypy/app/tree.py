"""The site: applications and foreign WSGI callables by where they are mounted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from cherrypy.aio.asgi.graft import ASGIApplication, ASGIGraft, is_asgi
from cherrypy.app.application import Application
from cherrypy.conf.ini import Source
from cherrypy.context import serving
from cherrypy.core.urls import cut_long_path, join_script_name, trim_script_name
from cherrypy.process.wspbus import bus
from cherrypy.toolbox.builtin import tools
from cherrypy.wsgi.environ import downgrade_wsgi_ux_to_1x

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_FAVICON = os.path.join(os.path.dirname(os.path.dirname(__file__)), "favicon.ico")


class Tree:
    """Everything that is mounted.

    Attributes:
        apps: {mount point: Application or WSGI callable}; '' is the root of the site.
    """

    apps: dict[str, Any]

    def __init__(self) -> None:
        self.apps = {}

    def mount(self, root: Any, script_name: str = "", config: Source | None = None) -> Application:
        """Mount *root* at *script_name* as an application, and return it.

        Args:
            root: an object with pages, an Application, or None.
            script_name: '/blog'; '' or '/' for the root of the site.
            config: of the application.

        Raises:
            TypeError: script_name is None (graft an Application for that).
            ValueError: *root* is an Application with another script_name.
        """
        if script_name is None:
            raise TypeError(
                "mount() needs a script_name. An Application that is to take it from the WSGI environ is grafted: "
                "tree.graft(Application(root, None))."
            )
        script_name = trim_script_name(script_name)
        if isinstance(root, Application):
            app = root
            if script_name not in ("", app.script_name):
                raise ValueError(f"The application has the script_name {app.script_name!r}, not {script_name!r}.")
            script_name = app.script_name
        else:
            app = Application(root, script_name)
            if script_name == "" and root is not None and not hasattr(root, "favicon_ico"):
                self._add_favicon(root)
        if config:
            app.merge(config)
        self.apps[script_name] = app
        return app

    @staticmethod
    def _add_favicon(root: Any) -> None:
        """Answer browsers that ask for /favicon.ico, unless *root* cannot take another attribute."""
        page = tools.staticfile.handler(_FAVICON)
        try:
            root.favicon_ico = page
        except AttributeError:
            # slots: the application does without
            return

    def graft(self, wsgi_callable: WSGIApplication | ASGIApplication, script_name: str = "") -> None:
        """Mount a WSGI callable, or what is an ASGI application by its signature, at *script_name*."""
        if is_asgi(wsgi_callable):
            self.graft_asgi(cast(ASGIApplication, wsgi_callable), script_name)
        else:
            self.apps[trim_script_name(script_name)] = wsgi_callable

    def graft_asgi(self, app: ASGIApplication, script_name: str = "") -> None:
        """Mount an ASGI 3 application at *script_name*; its lifespan is the engine's."""
        graft = ASGIGraft(app, trim_script_name(script_name))
        graft.lifespan.subscribe(bus)
        self.apps[graft.script_name] = graft

    def script_name(self, path: str | None = None) -> str | None:
        """Return the longest mount point that *path* (default: the current request's) lies under; None if none does."""
        if path is None:
            request = serving.request
            path = join_script_name(request.script_name, request.path_info)
        found = self._mount_point(path)
        if path.isascii():
            return found
        try:
            # WSGI paths and those of messages are octets as latin-1; mount points are text
            in_text = self._mount_point(path.encode("latin-1").decode("utf-8"))
        except UnicodeError:
            return found
        return in_text if in_text and in_text.count("/") > (found or "").count("/") else found

    def _mount_point(self, path: str) -> str | None:
        apps = self.apps
        path = cut_long_path(path, apps)
        while True:
            if path in apps:
                return path
            if path == "":
                return None
            path = path[: path.rfind("/")] if "/" in path else ""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Serve one WSGI request by what is mounted at its path; 404 if nothing is."""
        if environ.get("wsgi.version") == ("u", 0):
            environ = downgrade_wsgi_ux_to_1x(environ)
        path = join_script_name(environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
        script_name = self.script_name(path or "/")
        if script_name is None:
            start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
            return []
        app = self.apps[script_name]
        environ = environ.copy()
        prefix = script_name.rstrip("/")
        if not path.startswith(prefix):
            # octets as latin-1, as in the path
            script_name = prefix = prefix.encode("utf-8").decode("latin-1")
        environ["SCRIPT_NAME"] = script_name
        environ["PATH_INFO"] = path[len(prefix) :]
        return app(environ, start_response)
