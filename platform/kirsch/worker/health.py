"""What a worker answers of itself, before any application: is it alive, may it get requests, who is it."""

from __future__ import annotations

import json

from kirsch.worker.voice import Voice

LIVE_PATH = "/livez"
READY_PATH = "/readyz"
ASKED_PATHS = {LIVE_PATH, READY_PATH}
"""Paths that a worker looks at before its applications do; those where apps are probed come with their mounts."""


def answer_health(voice: Voice, path: str) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of the answer to a question at *path*.

    ``{"state": "ready", "worker": "web.1", "release": "r7", "generation": 3, "broken": {}}``; nginx shows nobody
    outside these paths, so the body may name what is broken, though not why: that is in the status.
    """
    is_good = path == LIVE_PATH or voice.state == "ready"
    order = voice.order
    body = json.dumps(
        {
            "state": voice.state,
            "worker": order.name,
            "release": order.release,
            "generation": order.generation,
            "broken": voice.broken,
        }
    ).encode("ascii")
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Cache-Control", b"no-store"),
        (b"X-Kirsch-Worker", order.name.encode("latin-1", "replace")),
        (b"X-Kirsch-Release", order.release.encode("latin-1", "replace")),
        (b"Content-Length", b"%d" % len(body)),
    ]
    return b"200 OK" if is_good else b"503 Service Unavailable", headers, body
