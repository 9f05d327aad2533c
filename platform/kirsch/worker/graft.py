"""A WSGI application of others, as it is mounted: with its own name in the log, and an environment that is true."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from cherrypy.http.forwarded import Trust
from kirsch.scoreboard import Handler
from kirsch.spec import App
from kirsch.worker.naming import METHODS, OTHER_METHOD
from kirsch.worker.origin import WORKER_KEY, Environ, settle
from kirsch.worker.voice import Voice

WSGIApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Graft:
    """*target*, which knows neither CherryPy nor that it is mounted."""

    def __init__(self, app: App, target: WSGIApplication, voice: Voice) -> None:
        self.app = app
        self.target = target
        self._worker = voice.order.name
        self._trust = Trust(voice.order.trusted_proxies)
        self._mine = voice.writer.mine
        writer = voice.writer
        self._handlers = {
            method: writer.number(Handler(app.name, "(app)", method, f"app {app.name}"))
            for method in (*METHODS, OTHER_METHOD)
        }
        self._errors = NamedErrors(app.log or app.name)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        if WORKER_KEY not in environ:
            settle(environ, self._trust, self._worker)
        environ["wsgi.errors"] = self._errors
        method = environ["REQUEST_METHOD"]
        self._mine.row.handled_by(self._handlers[method if method in self._handlers else OTHER_METHOD])
        return self.target(environ, start_response)


class NamedErrors:
    """``wsgi.errors`` of one application: the worker's log, each line behind the application's name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        """Write *text*; what several threads write in one call each stays together."""
        lines = text.splitlines(keepends=True)
        sys.stderr.write("".join(f"{self._name}: {line}" if line.strip() else line for line in lines))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts as one."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Flush the worker's log."""
        sys.stderr.flush()
