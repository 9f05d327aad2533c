"""The admin endpoint: a CherryPy application in the supervisor's own process.

``/`` is the status page and ``/live`` the stream that keeps it so; besides them ``/status.json``, ``/metrics``,
``/livez``, ``/readyz``. Nothing changes here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cherrypy
from kirsch.observe.access import Access, is_loopback, load_token
from kirsch.observe.health import describe_health, has_started
from kirsch.observe.live import Live
from kirsch.observe.metrics import render
from kirsch.observe.page import render_page
from kirsch.observe.view import StackView

Look = Callable[[], StackView]

ASSETS = Path(__file__).parent / "assets"
#: Pages that are kept up to date at the same time; each is a connection and some kilobytes a second.
WATCHERS = 64

# SECURITY: nothing from elsewhere is loaded or sent to, and the page cannot be framed.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _headers(kind: str) -> None:
    cherrypy.response.headers["Content-Type"] = kind
    for name, value in HEADERS.items():
        cherrypy.response.headers[name] = value


class Admin:
    """The pages. *look* returns the stack as it is now."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._live = Live(look)
        self._has_started = False

    @cherrypy.expose
    def index(self) -> str:
        """The status page."""
        _headers("text/html; charset=utf-8")
        return render_page(self._look())

    @cherrypy.expose
    @cherrypy.tools.sse()
    async def live(self) -> AsyncIterator[dict[str, Any]]:
        """What of the page changes, once a second, as server-sent events."""
        if self._live.watchers >= WATCHERS:
            raise cherrypy.HTTPError(503, f"{WATCHERS} pages are watched already.")
        return self._live.tell()

    @cherrypy.expose
    def status_json(self) -> bytes:
        """The status as the control socket gives it, with the last events."""
        view = self._look()
        _headers("application/json")
        return json.dumps(view.to_status() | {"events": list(view.events)}).encode("utf-8")

    @cherrypy.expose
    def metrics(self) -> bytes:
        """Prometheus' text format, or OpenMetrics for who asks for it."""
        text, kind = render(self._look, cherrypy.request.headers.get("Accept", ""))
        _headers(kind)
        return text

    @cherrypy.expose
    def livez(self) -> bytes:
        """200 as long as the supervisor runs."""
        _headers("application/json")
        return b'{"state": "alive"}'

    @cherrypy.expose
    def readyz(self) -> bytes:
        """200 when every pool and nginx serve, else 503 with the reasons."""
        view = self._look()
        return _say_health(view, is_good=view.is_ready)

    @cherrypy.expose
    def startupz(self) -> bytes:
        """200 once every pool has had a worker that serves."""
        view = self._look()
        self._has_started = self._has_started or has_started(view)
        return _say_health(view, is_good=self._has_started)


def _say_health(view: StackView, *, is_good: bool) -> bytes:
    _headers("application/json")
    if not is_good:
        cherrypy.response.status = 503
    return json.dumps(describe_health(view)).encode("utf-8")


def make_application(look: Look, access: Access) -> cherrypy.Application:
    """Return the pages with what guards them."""
    config = {
        "/": {"hooks.on_start_resource": access.check},
        "/assets": {
            "tools.staticdir.on": True,
            "tools.staticdir.dir": str(ASSETS),
            "tools.response_headers.on": True,
            "tools.response_headers.headers": list(HEADERS.items()),
        },
    }
    application = cherrypy.Application(Admin(look), "", config)
    # SECURITY: a token may stand in an address, and logs are read by more people than may look here
    application.log.access_log.propagate = False
    return application


class AdminServer:
    """Runs the pages on ``ADDRESS:PORT``, with the documented engine of this process.

    Args:
        token_path: where the token is, or is made, that is asked for on addresses which others reach.
    """

    def __init__(self, look: Look, address: str, token_path: str) -> None:
        self._look = look
        host, _, port = address.rpartition(":")
        self._host = {"localhost": "127.0.0.1"}.get(host, host.strip("[]"))
        self._port = int(port)
        self._token_path = token_path

    def start(self) -> str:
        """Serve; return the URL.

        Raises:
            OSError, ChannelFailures: the address cannot be had, or the token not be kept.
        """
        access = Access(None if is_loopback(self._host) else load_token(self._token_path))
        cherrypy.config.update(
            {
                "environment": "production",
                "engine.autoreload.on": False,
                "server.socket_host": self._host,
                "server.socket_port": self._port,
                "server.thread_pool": 4,
                "server.max_request_body_size": 4096,
            }
        )
        cherrypy.tree.mount(make_application(self._look, access))
        cherrypy.engine.start()
        host, port = cherrypy.server.bound_addr
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def stop(self) -> None:
        """Stop serving."""
        cherrypy.engine.exit()


def start_admin(look: Look, address: str, token_path: str) -> tuple[AdminServer | None, Any]:
    """Start the endpoint; return it with its URL, or None with the reason why not."""
    server = AdminServer(look, address, token_path)
    try:
        return server, server.start()
    except Exception as error:  # a wall: without its window the supervisor still does its work
        return None, f"{address}: {error}"
