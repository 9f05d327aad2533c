"""What a typed application does with the framework, once each: ``mypy --strict`` has nothing to say about it.

It is checked (``test_typing.py``) and never run by itself.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import cherrypy
from cherrypy import expose, tools
from cherrypy.lib import auth_digest, cptools, httputil, static
from cherrypy.lib.sessions import FileSession, RamSession
from cherrypy.lib.static import serve_file
from cherrypy.process import plugins, servers, wspbus


def check_password(realm: str, username: str, password: str) -> bool:
    """Answer for tools.auth_basic."""
    return (username, password) == ("ada", "lovelace")


class TraceTool(cherrypy.Tool):
    """A tool that hooks in at two points."""

    def __init__(self) -> None:
        super().__init__("before_handler", self.begin, name="trace", priority=20)

    def _setup(self) -> None:
        super()._setup()
        cherrypy.request.hooks.attach("on_end_request", self.end, priority=90)

    def begin(self, level: int = 1) -> None:
        """Remember when."""
        cherrypy.request.trace = {"level": level, "begun": cherrypy.response.time}

    def end(self) -> None:
        """Tell how long."""
        cherrypy.log(f"trace: {cherrypy.request.trace}", context="TRACE")


cherrypy.tools.trace = TraceTool()


@cherrypy.tools.register("before_finalize", priority=60)
def powered_by(name: str = "kirsch") -> None:
    """Say who."""
    cherrypy.response.headers["X-Powered-By"] = name


def count_calls(next_handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Wrap a page."""
    return next_handler(*args, **kwargs)


cherrypy.tools.count_calls = cherrypy._cptools.HandlerWrapperTool(count_calls)


class Counter(plugins.SimplePlugin):
    """A plugin with a channel of its own."""

    def __init__(self, bus: wspbus.Bus) -> None:
        super().__init__(bus)
        self.count = 0

    def start(self) -> None:
        """Begin."""
        self.bus.log("Counter starts")
        self.bus.subscribe("count", self.add)

    start.priority = 80  # type: ignore[attr-defined]  # a function's attribute: mypy knows none

    def stop(self) -> None:
        """End."""
        self.bus.unsubscribe("count", self.add)

    def add(self, number: int = 1) -> int:
        """One more."""
        self.count += number
        return self.count


@cherrypy.expose
class Items:
    """A resource whose methods are those of HTTP."""

    @cherrypy.tools.accept(media="application/json")
    @cherrypy.tools.json_out()
    def GET(self, number: str | None = None) -> dict[str, Any]:
        """Give one, or all."""
        if number is None:
            raise cherrypy.HTTPError(404)
        return {"number": number}

    @cherrypy.tools.json_in()
    def POST(self) -> str:
        """Take one."""
        given: dict[str, Any] = cherrypy.request.json
        cherrypy.response.status = "201 Created"
        return json.dumps(given)


@cherrypy.popargs("year", "month")
class Archive:
    """Takes path segments as parameters."""

    _cp_config = {"tools.expires.on": True, "tools.expires.secs": 60}

    @cherrypy.expose
    def index(self, year: str | None = None, month: str | None = None) -> str:
        """Say what came."""
        return f"{year}-{month}"


class Root:
    """The pages."""

    _cp_config = {"tools.sessions.on": True, "error_page.404": "404.html"}

    def __init__(self) -> None:
        self.items = Items()
        self.archive = Archive()
        self.old = static.staticdir

    @cherrypy.expose
    def index(self) -> str:
        """Use the session."""
        visits: int = cherrypy.session.get("visits", 0) + 1
        cherrypy.session["visits"] = visits
        if "user" in cherrypy.session:
            del cherrypy.session["user"]
        return f"{visits} {cherrypy.session.id}"

    @expose(["two", "three"])
    def several(self, a: int = 1) -> list[bytes]:
        """Have other names."""
        return [b"x"] * a

    @cherrypy.expose(alias="plain.txt")
    @cherrypy.config(**{"tools.gzip.on": True, "response.stream": True})
    def plain(self) -> Iterator[str]:
        """Stream."""
        cherrypy.response.headers["Content-Type"] = "text/plain"
        cherrypy.response.cookie["seen"] = "yes"
        cherrypy.response.cookie["seen"]["max-age"] = 3600
        yield "one"

    @cherrypy.expose
    @tools.auth_basic(realm="house", checkpassword=check_password)
    @tools.caching(delay=60)
    @tools.powered_by(name="typed")
    @tools.trace(level=2)
    def private(self, document: str) -> Any:
        """Use what the request says."""
        request = cherrypy.request
        if request.method not in ("GET", "HEAD"):
            raise cherrypy.HTTPError(405, "Only read this.")
        agent: str = request.headers.get("User-Agent", "-")
        since = httputil.HTTPDate(datetime.datetime.now(datetime.UTC).timestamp())
        cherrypy.log(f"{request.remote.ip} {request.login} {agent} {since} {request.params}")
        if not request.app or request.path_info == "/":
            raise cherrypy.HTTPRedirect(cherrypy.url("/", qs={"from": document}, relative=False), 302)
        if request.query_string:
            raise cherrypy.HTTPRedirect(["/a", "/b"])
        try:
            return serve_file(document, content_type="text/plain", disposition="attachment", name="d.txt")
        except OSError:
            cherrypy.log("no document", severity=40, traceback=True)
            raise cherrypy.NotFound() from None

    @cherrypy.expose()
    def upload(self, document: cherrypy._cpreqbody.Part) -> str:
        """Take a file."""
        with cherrypy.HTTPError.handle(ValueError, 400, "not a number"):
            int(document.filename or "")
        if document.file is not None:
            document.file.read(10)
        raise cherrypy.InternalRedirect("/", query_string="again=1")

    @cherrypy.expose
    def default(self, *path: str, **params: str) -> str:
        """Answer for the rest."""
        return f"{len(path)} {cptools.SessionAuth.session_key} {sorted(params)}"

    favicon_ico = cherrypy.tools.staticfile.handler("/srv/favicon.ico")


def show_error(status: str, message: str, traceback: str, version: str) -> str:
    """Render every error page."""
    return f"{status} {message} {version}"


def connect(thread_index: int) -> None:
    """Keep a connection for each thread."""
    cherrypy.thread_data.connection = thread_index


CONFIG: dict[str, dict[str, Any]] = {
    "/": {"error_page.default": show_error, "tools.sessions.storage_class": FileSession},
    "/items": {"request.dispatch": cherrypy.dispatch.MethodDispatcher()},
    "/digest": {"tools.auth_digest.get_ha1": auth_digest.get_ha1_dict_plain({"ada": "lovelace"})},
}


def main() -> None:
    """Run it."""
    cherrypy.config.update({"server.socket_port": 0, "environment": "production", "tools.trace.on": True})
    cherrypy.config.update("site.conf")
    cherrypy.config.namespaces["own"] = lambda name, value: cherrypy.log(f"{name}={value}")
    if cherrypy.config.get("tools.proxy.on"):
        cherrypy.log.screen = False
    cherrypy.log.error_log.setLevel(10)
    application: cherrypy.Application = cherrypy.tree.mount(Root(), "/app", CONFIG)
    application.merge({"/": {"tools.etags.on": True}})
    application.log.access_file = "access.log"
    cherrypy.tree.graft(lambda environ, start_response: [b""], "/raw")
    mapper = cherrypy.dispatch.RoutesDispatcher()
    mapper.connect("items", "/items/{number}", controller=Items())
    cherrypy.engine.counter = Counter(cherrypy.engine)
    cherrypy.engine.counter.subscribe()
    cherrypy.engine.subscribe("start_thread", connect)
    cherrypy.engine.autoreload.unsubscribe()
    cherrypy.engine.signal_handler.handlers["SIGUSR2"] = cherrypy.engine.graceful
    plugins.Monitor(cherrypy.engine, lambda: None, frequency=30, name="Cleaner").subscribe()
    plugins.PIDFile(cherrypy.engine, "/run/app.pid").subscribe()
    plugins.Daemonizer(cherrypy.engine, stdout="/var/log/app.out").subscribe()
    plugins.DropPrivileges(cherrypy.engine, umask=0o022, uid="www-data", gid="www-data").subscribe()
    second = cherrypy._cpserver.Server()
    second.socket_host = "127.0.0.1"
    second.socket_port = 0
    second.subscribe()
    cherrypy.server.unsubscribe()
    servers.ServerAdapter(cherrypy.engine, httpserver=second.httpserver, bind_addr=("127.0.0.1", 0)).subscribe()
    RamSession.clean_up(RamSession())
    cherrypy.lib.sessions.expire()
    cherrypy.lib.cptools.validate_since()
    cherrypy.process.plugins.BackgroundTask(60, main).start()
    cherrypy.process.wspbus.Bus().log("another", level=20)
    cherrypy.lib.reprconf.unrepr("[1, 2]")
    results: list[Any] = cherrypy.engine.publish("count", 2)
    cherrypy.log(str(results))
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.start()
    cherrypy.engine.wait(cherrypy.engine.states.STARTED)
    cherrypy.engine.block()


if __name__ == "__main__":
    main()
    cherrypy.quickstart(Root(), "/", CONFIG)
