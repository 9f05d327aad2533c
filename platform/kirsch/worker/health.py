"""What a worker answers of itself, before any application: is it alive, may it get requests, who is it."""

from __future__ import annotations

import json

from kirsch.spec.probe import OWN_PATHS
from kirsch.worker.voice import Voice

LIVE_PATH, READY_PATH, STARTED_PATH = OWN_PATHS
ASKED_PATHS = set(OWN_PATHS)
"""Paths that a worker looks at before its applications do; those where apps are probed come with their mounts."""


def answer_health(voice: Voice, path: str) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of the answer to a question at *path*.

    ``{"state": "ready", "health": "degraded", "checks": [{"name": "mail", "state": "failing", …}], …}``. nginx shows
    nobody outside these paths, so the body may name what is broken, and say why a check fails.
    """
    order = voice.order
    body = json.dumps(
        {
            "state": voice.state,
            "health": overall(voice),
            "worker": order.name,
            "release": order.release,
            "generation": order.generation,
            "broken": voice.broken,
            "checks": [
                {
                    "name": check.name,
                    "state": check.state,
                    "critical": check.critical,
                    "duration_s": round(check.duration_s, 4),
                    "changed": check.changed,
                    "message": check.message,
                }
                for check in voice.checks
            ],
        }
    ).encode("ascii")
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Cache-Control", b"no-store"),
        (b"X-Kirsch-Worker", order.name.encode("latin-1", "replace")),
        (b"X-Kirsch-Release", order.release.encode("latin-1", "replace")),
        (b"Content-Length", b"%d" % len(body)),
    ]
    return b"200 OK" if _is_good(voice, path) else b"503 Service Unavailable", headers, body


def overall(voice: Voice) -> str:
    """Say how the applications are: ``passing``, ``degraded``, or ``failing`` while a critical check fails."""
    if any(check.state == "failing" and check.critical for check in voice.checks):
        return "failing"
    return "degraded" if voice.broken or any(check.state != "passing" for check in voice.checks) else "passing"


def _is_good(voice: Voice, path: str) -> bool:
    if path == READY_PATH:
        return voice.state == "ready" and overall(voice) != "failing"
    return path == LIVE_PATH or voice.state not in {"booting", "warming", "failed"}
