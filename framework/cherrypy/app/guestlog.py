"""The error log of a site that another server owns, and that names no log of its own: the log of that server."""

from __future__ import annotations

import logging
import sys

from cherrypy.core.loghandlers import NotTwice, WSGIErrorHandler, wsgi_errors
from cherrypy.core.logs import logfmt


class GuestHandler(WSGIErrorHandler):
    """Writes to the ``wsgi.errors`` of the request that is served; outside of requests, warnings and worse to stderr.

    What monitors and listeners fail with belongs to no request, and stderr is what every server keeps. A record that
    any other handler takes (a file of the application's, ``logging.basicConfig``) is left to that.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if _is_taken(logging.getLogger(record.name)):
            return
        if wsgi_errors() is not None:
            super().emit(record)
        elif record.levelno >= logging.WARNING and sys.stderr is not None:
            try:
                sys.stderr.write(self.format(record) + "\n")
                sys.stderr.flush()
            except Exception:
                self.handleError(record)


def _is_taken(log: logging.Logger | None) -> bool:
    while log is not None:
        if any(not isinstance(one, GuestHandler | logging.NullHandler) for one in log.handlers):
            return True
        log = log.parent if log.propagate else None
    return False


def attach(log: logging.Logger) -> None:
    """Let *log* write there; ``log.wsgi = False`` takes it off again."""
    handler = GuestHandler()
    handler.setFormatter(logfmt)
    handler._cpbuiltin = "wsgi"  # type: ignore[attr-defined]
    handler.addFilter(NotTwice(log, handler))
    log.addHandler(handler)
