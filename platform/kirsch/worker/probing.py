"""What an app of this worker would believe, shown to who may ask: a page below its mount, there while somebody asks.

The page is mounted as the app is, with the app's own proxy tool, so that its request goes the way of any other: through
nginx, the engine, trust, dispatch and tools. It costs other requests nothing while nobody asks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import msgspec

import cherrypy
from kirsch.link.belief import PROBE_PATH, Belief, token_file
from kirsch.worker.explaining import explain as find_way
from kirsch.worker.graft import Graft
from kirsch.worker.health import ASKED_PATHS
from kirsch.worker.load import Loaded
from kirsch.worker.voice import Voice

#: How long the page stays after it was asked for.
STAYS_S = 60.0
_PROXY_KEYS = tuple(f"tools.proxy.{name}" for name in ("on", "base", "local", "remote", "scheme", "trusted"))


def prepare_probes(apps: Iterable[Loaded], voice: Voice) -> None:
    """Let the apps of this worker be asked: their probe paths are looked at before the tree is."""
    for loaded in apps:
        if loaded.kind != "broken":
            probe = Probe(loaded, voice)
            voice.probes[probe.path] = probe.open
            ASKED_PATHS.add(probe.path)


class Probe:
    """One app's."""

    def __init__(self, loaded: Loaded, voice: Voice) -> None:
        self.script_name = loaded.app.mount.rstrip("/") + PROBE_PATH.rstrip("/")
        self.path = f"{self.script_name}/"
        self._loaded = loaded
        self._voice = voice
        self._lock = threading.Lock()
        self._closing: threading.Timer | None = None

    def open(self, query: str) -> None:
        """Have the page there for the request with *query*, if its token is good; else it meets the app."""
        file = token_file(self._voice.order.socket_dir, parse_qs(query).get("token", [""])[0])
        if file is None or not os.path.exists(file):
            self._close()
            return
        with self._lock:
            if self._closing is not None:
                self._closing.cancel()
            elif self.script_name not in cherrypy.tree.apps:
                self._mount()
            self._closing = threading.Timer(STAYS_S, self._close)
            self._closing.daemon = True
            self._closing.start()

    def _close(self) -> None:
        with self._lock:
            if self._closing is not None:
                self._closing.cancel()
                self._closing = None
                cherrypy.tree.apps.pop(self.script_name, None)

    def _mount(self) -> None:
        app, worker = self._loaded.app, self._voice.order.name
        if self._loaded.kind == "wsgi":
            cherrypy.tree.graft(Graft(app, believe_wsgi(worker), self._voice), self.script_name)
        elif self._loaded.kind == "asgi":
            cherrypy.tree.graft_asgi(believe_asgi(worker), self.script_name)
        else:
            application = cherrypy.tree.apps.get(app.mount.rstrip("/"))
            cherrypy.tree.mount(Page(worker, application), self.script_name, {"/": proxy_config(application)})


class Page:
    """What a page of a CherryPy application sees."""

    def __init__(self, worker: str, application: Any = None) -> None:
        self._worker = worker
        self._application = application

    @cherrypy.expose
    def index(self, token: str = "", explain: str | None = None) -> bytes:
        """Return it as JSON; with what the application would do with the path *explain*."""
        request, headers = cherrypy.request, cherrypy.response.headers
        headers["Content-Type"] = "application/json"
        headers["Cache-Control"] = "no-store"
        fields = {name.lower(): str(value) for name, value in request.headers.items()}
        belief = Belief(
            base=request.base,
            remote=request.remote.ip,
            scheme=request.scheme,
            fields=fields,
            worker=self._worker,
            explained=None if explain is None else find_way(self._application, explain),
        )
        return msgspec.json.encode(belief)


def proxy_config(application: Any) -> dict[str, Any]:
    """Return what an application's own configuration says of the proxy tool at its root."""
    found: dict[str, Any] = {}
    if isinstance(application, cherrypy.Application):
        own = getattr(application.root, "_cp_config", {})
        found |= {key: own[key] for key in _PROXY_KEYS if key in own}
        missing = object()
        found |= {
            key: value for key in _PROXY_KEYS if (value := application.find_config("/", key, missing)) is not missing
        }
    return found


def believe_wsgi(worker: str) -> Callable[..., list[bytes]]:
    """Return a WSGI application that shows its environment."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        fields = {
            key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key.startswith("HTTP_")
        }
        scheme = environ["wsgi.url_scheme"]
        host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
        belief = Belief(
            base=f"{scheme}://{host}",
            remote=environ.get("REMOTE_ADDR", ""),
            scheme=scheme,
            fields=fields,
            worker=worker,
        )
        start_response("200 OK", [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [msgspec.json.encode(belief)]

    return application


def believe_asgi(worker: str) -> Callable[..., Any]:
    """Return an ASGI application that shows its scope."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        fields = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        belief = Belief(
            base=f"{scope['scheme']}://{fields.get('host', '')}",
            remote=(scope["client"] or ("",))[0],
            scheme=scope["scheme"],
            fields=fields,
            worker=worker,
        )
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(belief)})

    return application
