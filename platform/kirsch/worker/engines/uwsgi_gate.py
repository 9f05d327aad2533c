"""What uWSGI imports as its site: closed until the applications are imported and mounted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Site = Callable[..., Iterable[bytes]]


class Gate:
    """Hands requests to the site once there is one; until then it answers 503, which says that uWSGI is up."""

    def __init__(self) -> None:
        self._site: Site = _refuse

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        return self._site(environ, start_response)

    def open_for(self, site: Site) -> None:
        """Let requests through to *site*."""
        self._site = site


def _refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("503 Service Unavailable", [("Content-Length", "0"), ("Connection", "close")])
    return []


#: uWSGI finds its site by the name of a module and of an object in it; there is one uWSGI in a process.
gate = Gate()
