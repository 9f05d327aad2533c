"""A store that does not answer: neither a hang nor a session lost in silence, but a 503."""

from __future__ import annotations

from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log


def outage(store: str, error: object) -> HTTPError:
    """Log why *store* ('redis at ...') cannot be used, and return the answer for the client."""
    log(f"The session store does not answer: {store}: {error}", "TOOLS.SESSIONS", severity=40)
    return HTTPError(503, "The session store does not answer.")
