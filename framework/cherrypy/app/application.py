"""One application: a root object, its configuration, its logs, where it is mounted."""

from __future__ import annotations

import threading
from typing import Any

from cherrypy.conf import site
from cherrypy.conf.epoch import changes
from cherrypy.conf.ini import NamespaceSet, Source
from cherrypy.conf.namespaces import attribute_namespace
from cherrypy.context import Serving, serving
from cherrypy.core.logs import LogManager
from cherrypy.core.plan import PlanCache
from cherrypy.core.request import Request
from cherrypy.core.response import Response
from cherrypy.core.urls import cut_long_path, trim_script_name
from cherrypy.process.wspbus import bus
from cherrypy.toolbox.builtin import tools
from cherrypy.wsgi.app import CPWSGIApp
from cherrypy.wsgi.sendfile import hand_over

(_LOCAL,) = Serving.__bases__


class Application:
    """An application; also a WSGI callable.

    Args:
        root: the object whose attributes are pages.
        script_name: where it is mounted, '' for the root of the site; None to take it from each WSGI environ.
        config: a file name, an open file, or {section: {key: value}}.

    Attributes:
        config: {path or other section: {key: value}}; sections that are no paths are free for the application.
        namespaces: handlers of the keys in section '/', set once.
        toolboxes: {namespace: toolbox}.
        plans: what is compiled of the configuration.
        routes: the pages that go the short way through WSGI.
        answer_shortly: what answers plain requests that come through WSGI (``app.embedded``); ``_wiring`` sets it.
        relative_urls: default of ``url(relative=...)``.
    """

    root: Any = None
    namespaces: NamespaceSet = NamespaceSet()
    log: LogManager
    wsgiapp: CPWSGIApp
    request_class: Any = Request
    response_class: Any = Response
    relative_urls: bool | str = False
    toolboxes: dict[str, Any] = {"tools": tools}
    answer_shortly: Any = None
    routes: Any = None

    def __init__(self, root: Any, script_name: str | None = "", config: Source | None = None) -> None:
        self.plans = PlanCache()
        self.log = LogManager(id(self), logger_root="cherrypy")
        self.root = root
        self.script_name = script_name
        self.wsgiapp = CPWSGIApp(self)
        self.namespaces = self.namespaces.copy()
        self.namespaces["log"] = attribute_namespace("log", lambda: self.log)
        self.namespaces["wsgi"] = self.wsgiapp.namespace_handler
        # COMPAT: a subclass may have its configuration as a class attribute
        declared: Any = type(self).config
        self.config = site.AppConfig({} if isinstance(declared, property) else declared)
        if config:
            self.merge(config)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        changes.bump()

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self.root!r}, {self._script_name!r})"

    @property
    def config(self) -> Any:
        """The configuration by section."""
        return self._config

    @config.setter
    def config(self, config: Any) -> None:
        self._config = config if isinstance(config, site.AppConfig) else site.AppConfig(config)

    @property
    def script_name(self) -> str:
        """Where the application is mounted, without a slash at the end.

        Set to None, it is what the WSGI environ of the current request says.

        Raises:
            AttributeError: set to None, and there is no request.
        """
        if self._script_name is not None:
            return self._script_name
        try:
            name: str = serving.request.wsgi_environ["SCRIPT_NAME"]
        except KeyError:
            raise AttributeError(
                "A script_name that is taken from the WSGI environ exists during requests only."
            ) from None
        return name.rstrip("/")

    @script_name.setter
    def script_name(self, value: str | None) -> None:
        self._script_name = trim_script_name(value) if value else value

    def merge(self, config: Source) -> None:
        """Merge *config* into the application's, and apply what concerns the application as a whole."""
        site.merge(self.config, config)
        self.namespaces(self.config.get("/", {}))

    def find_config(self, path: str, key: str, default: Any = None) -> Any:
        """Return the value of *key* for *path*, looked for in its section and in those above it."""
        trail = cut_long_path(path or "/", self.config)
        while trail:
            section = self.config.get(trail)
            if section is not None and key in section:
                return section[key]
            cut = trail.rfind("/")
            if cut < 0:
                break
            if cut == 0 and trail != "/":
                trail = "/"
            else:
                trail = trail[:cut]
        return default

    def get_serving(self, local: Any, remote: Any, scheme: str, sproto: str) -> tuple[Any, Any]:
        """Make a request and a response the current ones of this thread, announce them, and return them."""
        request = self.request_class(local, remote, scheme, sproto)
        request.app = self
        if self._script_name:
            request.script_name = self._script_name
        # PERF: what ``serving.load`` does, without the call
        serving.request = request
        serving.response = response = self.response_class()
        announce_request()
        return request, response

    def release_serving(self) -> None:
        """Close the current request and forget it."""
        request = serving.request
        if bus.listeners.get("after_request"):
            bus.publish("after_request")
        try:
            request.close()
        except Exception:
            self.log(traceback=True, severity=40)
        serving.clear()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Serve one WSGI request.

        Raises:
            RuntimeError: requests of this process cannot be told apart.
        """
        if threading.local is not _LOCAL:
            # SECURITY: pages would see each other's requests, and sessions
            raise RuntimeError(
                "threading.local was replaced after cherrypy had been imported (by gevent's monkey.patch_all, say), so "
                "requests would not be kept apart. Let each worker load the site (gunicorn without --preload), or "
                "patch before anything else is imported."
            )
        if self.answer_shortly is not None:
            answer = self.answer_shortly(environ, start_response)
            if answer is not None:
                return answer
        return hand_over(self.wsgiapp(environ, start_response), environ)


def announce_request() -> None:
    """Publish that this thread begins a request, which is the current one already: listeners put things on it."""
    announce_thread()
    if bus.listeners.get("before_request"):
        bus.publish("before_request")


def announce_thread() -> None:
    """Publish that this thread serves."""
    at_thread = bus.listeners.get("acquire_thread")
    if at_thread and len(at_thread) == 1:
        # PERF: the ThreadManager alone, nearly always; without the machinery for failures of several listeners
        for listener in at_thread:
            listener()
    else:
        bus.publish("acquire_thread")
