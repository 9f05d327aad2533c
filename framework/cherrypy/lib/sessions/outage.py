"""A store that does not answer: neither a hang nor a session lost in silence, but a 503."""

from __future__ import annotations

from cherrypy.core.errors import HTTPError
from cherrypy.core.logs import log


def outage(store: str, error: object) -> HTTPError:
    """Log why *store* ('redis at ...') cannot be used, and return the answer for the client."""
    log(f"The session store does not answer: {store}: {error}", "TOOLS.SESSIONS", severity=40)
    return HTTPError(503, "The session store does not answer.")


def tell_lost_lock(lifetime_s: float) -> None:
    """Log that a lock was gone before it was released: another request may have worked on the session meanwhile."""
    log(
        f"The lock of a session was lost: the page took longer than tools.sessions.lock_lifetime_s = {lifetime_s}, "
        "or the store was emptied.",
        "TOOLS.SESSIONS",
        severity=30,
    )
