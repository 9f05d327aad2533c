"""The first requests of a worker are its own: what is slow the first time is not slow for a visitor.

They go through the worker's socket, as all others, and look as if they came from the stack's own nginx. An answer of
5xx fails the boot: no visitor should be the first to see it.
"""

from __future__ import annotations

import http.client
import logging
import socket

from kirsch.errors import SuperviseError
from kirsch.link import uwsgi
from kirsch.link.order import Order
from kirsch.spec import App
from kirsch.worker.voice import Voice

log = logging.getLogger(__name__)


def warm_up(order: Order, voice: Voice, path: str) -> None:
    """Ask the socket at *path* for what the apps of *order* say.

    Raises:
        SuperviseError: an app answers 5xx, or not at all; one that stands alone is only reported.
    """
    wanted = [(app, target) for app in order.apps if app.name not in voice.broken for target in app.warm_up]
    if not wanted:
        return
    voice.enter("warming")
    for app, below in wanted:
        target = app.mount.rstrip("/") + below
        voice.at_step(f"GET {target}")
        problem = ask(path, target, order)
        if problem is None or app.name in voice.broken:
            continue
        if not app.isolate:
            raise SuperviseError(f"app {app.name}: GET {target} {problem}")
        report_cold(app, f"GET {target} {problem}", voice)


def report_cold(app: App, problem: str, voice: Voice) -> None:
    """Tell the operator that an isolated app does not serve as it should; it stays mounted, it may get better."""
    voice.say_broken(app.name, problem)
    log.error("app %s: %s", app.name, problem)


def ask(path: str, target: str, order: Order, *, timeout_s: float | None = None, worst: int = 499) -> str | None:
    """GET *target* from the Unix socket at *path*; return what is wrong with the answer, None if nothing is.

    *timeout_s* is that of a request if it is not said, *worst* the largest status with which nothing is wrong.
    """
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(order.limits.request_deadline_s if timeout_s is None else timeout_s)
        try:
            line.connect(path)
            line.sendall(_question(target, order))
            answer = http.client.HTTPResponse(line)
            answer.begin()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            return f"has no answer: {type(error).__name__}: {error}"
    return f"answers {answer.status}" if answer.status > worst else None


def _question(target: str, order: Order) -> bytes:
    fields = {
        "Host": order.public_host,
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "User-Agent": "kirsch warm-up",
    }
    if order.protocol == "uwsgi":
        return uwsgi.ask(target, fields)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode("ascii")
