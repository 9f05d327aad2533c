"""The admin endpoint: a CherryPy application for the supervisor's own process, on a loopback address.

``/`` is the status page; besides it ``/status.json``, ``/metrics``, ``/livez``, ``/readyz``. Nothing changes here.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cherrypy
from kirsch.observe.metrics import render_metrics
from kirsch.observe.page import render_main, render_page
from kirsch.observe.view import StackView

Look = Callable[[], StackView]

ASSETS = Path(__file__).parent / "assets"

# SECURITY: nothing from elsewhere is loaded or sent to, and the page cannot be framed.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
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

    @cherrypy.expose
    def index(self) -> str:
        """The status page."""
        _headers("text/html; charset=utf-8")
        return render_page(self._look())

    @cherrypy.expose  # CherryPy finds main_html at /main.html
    def main_html(self) -> str:
        """What of the page changes, for its script."""
        _headers("text/html; charset=utf-8")
        return render_main(self._look())

    @cherrypy.expose
    def status_json(self) -> bytes:
        """The status as the control socket gives it, with the last events."""
        view = self._look()
        _headers("application/json")
        return json.dumps(view.to_status() | {"events": list(view.events)}).encode("utf-8")

    @cherrypy.expose
    def metrics(self) -> bytes:
        """Prometheus' text format."""
        _headers("text/plain; version=0.0.4; charset=utf-8")
        return render_metrics(self._look)

    @cherrypy.expose
    def livez(self) -> bytes:
        """200 as long as the supervisor runs."""
        _headers("application/json")
        return b'{"state": "alive"}'

    @cherrypy.expose
    def readyz(self) -> bytes:
        """200 when every pool and nginx serve, else 503 with the reasons."""
        view = self._look()
        _headers("application/json")
        if not view.is_ready:
            cherrypy.response.status = 503
        pools = {pool.name: pool.ready for pool in view.pools}
        answer = {"ready": view.is_ready, "pools": pools, "degraded": list(view.degraded)}
        return json.dumps(answer).encode("utf-8")


class LoopbackOnly:
    """A hook against DNS rebinding: a page from elsewhere reaches the loopback under its own host name."""

    @staticmethod
    def check() -> None:
        """Refuse a request whose Host is neither an address nor localhost.

        Raises:
            HTTPError: 403.
        """
        host = cherrypy.request.headers.get("Host", "")
        name = host.rpartition(":")[0] if host.count(":") == 1 or "]" in host else host
        name = name.strip("[]")
        if name == "localhost":
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise cherrypy.HTTPError(403, "This page is reached by an address or as localhost.") from None


class AdminServer:
    """Runs the pages on ``ADDRESS:PORT``, with the documented engine of this process."""

    def __init__(self, look: Look, address: str) -> None:
        self._look = look
        host, _, port = address.rpartition(":")
        self._host = {"localhost": "127.0.0.1"}.get(host, host.strip("[]"))
        self._port = int(port)

    def start(self) -> str:
        """Serve; return the URL.

        Raises:
            OSError, ChannelFailures: the address cannot be had.
        """
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
        cherrypy.tree.mount(
            Admin(self._look),
            "",
            {
                "/": {"hooks.on_start_resource": LoopbackOnly.check},
                "/assets": {
                    "tools.staticdir.on": True,
                    "tools.staticdir.dir": str(ASSETS),
                    "tools.response_headers.on": True,
                    "tools.response_headers.headers": list(HEADERS.items()),
                },
            },
        )
        cherrypy.engine.start()
        host, port = cherrypy.server.bound_addr
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def stop(self) -> None:
        """Stop serving."""
        cherrypy.engine.exit()


def start_admin(look: Look, address: str) -> tuple[AdminServer | None, Any]:
    """Start the endpoint; return it with its URL, or None with the reason why not."""
    server = AdminServer(look, address)
    try:
        return server, server.start()
    except Exception as error:  # a wall: without its window the supervisor still does its work
        return None, f"{address}: {error}"
