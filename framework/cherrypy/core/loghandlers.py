"""Who reads a log line, and that nobody reads it twice."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

from cherrypy.context import serving

_NULL = logging.NullHandler


class WSGIErrorHandler(logging.Handler):
    """Writes each record to the ``wsgi.errors`` of the request that is being served, if there is one."""

    def flush(self) -> None:
        """Flush ``wsgi.errors``."""
        stream = wsgi_errors()
        if stream is not None:
            stream.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        stream = wsgi_errors()
        if stream is None:
            return
        try:
            stream.write(self.format(record) + "\n")
            self.flush()
        except Exception:
            self.handleError(record)


def wsgi_errors() -> Any:
    """Return the ``wsgi.errors`` of the request that is being served; None outside of one, and on our own server."""
    environ = getattr(serving.request, "wsgi_environ", None)
    return environ.get("wsgi.errors") if environ else None


def has_reader(logger: logging.Logger, level: int) -> bool:
    """True when a record of *level* would reach a handler that does something with it."""
    here: logging.Logger | None = logger
    while here is not None:
        for handler in here.handlers:
            if handler.__class__ is not _NULL:
                return logger.isEnabledFor(level)
        if not here.propagate:
            break
        here = here.parent
    # a filter of the application's own may be there to see every line
    return bool(logger.filters) and logger.isEnabledFor(level)


class NotTwice(logging.Filter):
    """Keeps a built-in handler silent about records that another handler writes to the same place.

    Loggers of applications propagate to those of the site, these to the root logger: with ``logging.basicConfig``,
    with the screen switched on for both, or with a handler of the application's own, every line would come twice.

    Args:
        logger: the one that *handler* belongs to.
        handler: the one to keep silent.
    """

    def __init__(self, logger: logging.Logger, handler: logging.Handler) -> None:
        super().__init__()
        self._logger = logger
        self._handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        """False if somebody else writes it there."""
        for other in _handlers_from(self._logger):
            if other is self._handler:
                continue
            if record.levelno >= other.level and _writes_alike(self._handler, other) and not _is_choosy(other):
                return False
        return True


def _handlers_from(logger: logging.Logger) -> Iterator[logging.Handler]:
    here: logging.Logger | None = logger
    while here is not None:
        yield from here.handlers
        here = here.parent if here.propagate else None


def _is_choosy(handler: logging.Handler) -> bool:
    """True for a handler with filters: it may leave records out, and asking them could change something."""
    return any(not isinstance(one, NotTwice) for one in handler.filters)


def _writes_alike(ours: logging.Handler, other: logging.Handler) -> bool:
    """True if both write to the same file, stream, or terminal."""
    if isinstance(ours, logging.FileHandler) or isinstance(other, logging.FileHandler):
        return getattr(ours, "baseFilename", "") == getattr(other, "baseFilename", None)
    if not (isinstance(ours, logging.StreamHandler) and isinstance(other, logging.StreamHandler)):
        return False
    return ours.stream is other.stream or (
        _terminal(ours.stream) != "" and _terminal(ours.stream) == _terminal(other.stream)
    )


def _terminal(stream: Any) -> str:
    """The name of the terminal that *stream* writes to; '' if it is none."""
    try:
        return os.ttyname(stream.fileno()) if stream.isatty() else ""
    except (AttributeError, OSError, ValueError):  # not a file, or closed
        return ""
