"""``isolate = true``: an app that fails at its import, or at its mount, fails there alone.

Its mount answers 503 with a page that tells strangers nothing; the reason is in the worker's status, in ``/readyz`` by
name and, with the whole traceback, in the log. A crash of the process (a segmentation fault, ``os._exit``) cannot be
kept from the neighbours: that takes a pool of its own.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

from kirsch.spec import App
from kirsch.worker.voice import Teller

PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>503 Service Unavailable</title></head>
<body><h1>This part of the site is out of order</h1>
<p>It could not be started. The other parts work; its operator can see why.</p></body></html>
"""


class BrokenMount:
    """What stands where a broken app was to be: 503 for every request."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        """Say so."""
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(PAGE))),
            ("Cache-Control", "no-store"),
            ("Retry-After", "30"),
        ]
        start_response("503 Service Unavailable", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [PAGE]


def may_stand_alone(app: App, error: BaseException) -> bool:
    """True for a failure that is the app's own affair."""
    return app.isolate and not isinstance(error, KeyboardInterrupt)


def report_broken(app: App, error: BaseException, voice: Teller) -> None:
    """Tell the operator; *error* is being handled."""
    why = f"{type(error).__name__}: {error}".partition("\n")[0]
    voice.say_broken(app.name, why)
    sys.stderr.write(f"kirsch: app {app.name} is broken, the others go on:\n{traceback.format_exc()}")
    sys.stderr.flush()
