"""The health checks of a worker's applications: those of their code, those of the operator; shown on the scoreboard.

Nothing here is in a request's way: checks have threads of their own, and another one looks at what they said.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable

import cherrypy
from cherrypy.lib.health import NoNews
from kirsch.errors import SuperviseError
from kirsch.link.order import Order
from kirsch.scoreboard import CheckState
from kirsch.spec import App
from kirsch.spec.healthcheck import HealthCheck
from kirsch.worker.voice import Voice
from kirsch.worker.warm import ask

#: How often the results are looked at.
LOOK_S = 0.25


def start_checks(order: Order, voice: Voice, path: str) -> None:
    """Ask the applications' checks from now on; return when each has answered once, or had its time.

    Args:
        order: names the checks of the operator.
        voice: shows how they stand.
        path: the worker's own socket.

    Raises:
        SuperviseError: a check of the operator's names no function.
    """
    for app in order.apps:
        if app.name not in voice.broken:
            for name, check in app.checks.items():
                add_check(app, name, check, order, voice, path)
    health = cherrypy.health
    if not health.results():
        return
    voice.at_step("health checks")
    health.start()
    health.wait(order.limits.request_deadline_s)
    show(voice)
    threading.Thread(target=_keep_showing, args=(voice,), name="kirsch-health", daemon=True).start()


def add_check(app: App, name: str, check: HealthCheck, order: Order, voice: Voice, path: str) -> None:
    """Have what the operator wrote as a check, under the application's name: ``legacy.db``.

    Raises:
        SuperviseError: it names no function.
    """
    function = _function(app, name, check.call) if check.call is not None else _page(app, check, order, voice, path)
    cherrypy.health.add(
        f"{app.name}.{name}",
        function,
        timeout_s=check.timeout_s,
        critical=check.critical,
        interval_s=check.interval_s,
    )


def show(voice: Voice) -> None:
    """Write how all checks stand, for the probe's answer and onto the scoreboard."""
    checks = tuple(
        CheckState(one.name, one.state, one.critical, one.duration_s, one.changed, one.message)
        for one in cherrypy.health.results()
    )
    if checks != voice.checks:
        voice.checks = checks
        voice.writer.show_checks(checks)


def _keep_showing(voice: Voice) -> None:
    # an event of nobody's: a sleep that a test, or an application, may have put something else in place of
    pause = threading.Event()
    while not pause.wait(LOOK_S):
        show(voice)


def _function(app: App, name: str, call: str) -> Callable[[], object]:
    module, _, words = call.partition(":")
    try:
        found: object = importlib.import_module(module)
        for word in words.split("."):
            found = getattr(found, word)
    except (ImportError, AttributeError) as error:
        raise SuperviseError(f"app {app.name}: checks.{name}: {call}: {error}") from error
    if not callable(found):
        raise SuperviseError(f"app {app.name}: checks.{name}: {call} is no function")
    return found


def _page(app: App, check: HealthCheck, order: Order, voice: Voice, path: str) -> Callable[[], object]:
    target = app.mount.rstrip("/") + (check.path or "/")

    def question() -> None:
        problem = ask(path, target, order, timeout_s=check.timeout_s, worst=399)
        if problem is None:
            return
        if "has no answer" in problem and voice.writer.in_flight() >= order.threads:
            raise NoNews  # no thread is free: that is load, and no illness
        raise SuperviseError(f"GET {target} {problem}")

    return question
