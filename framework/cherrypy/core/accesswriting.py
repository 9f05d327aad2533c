"""From a finished line of the access log to its readers.

PERF: a ``logging`` record costs 10 us, half of it to find out who called. A line that only our own files read needs no
record (1.5 us); one that others read gets it without the search, since the caller is always the same.
"""

from __future__ import annotations

import logging

from cherrypy.core.accessfile import AccessFile, logfmt
from cherrypy.core.loghandlers import NotTwice

_NULL, _LOGGER, _INFO = logging.NullHandler, logging.Logger, logging.INFO


def write_access(logger: logging.Logger, line: str) -> None:
    """Give *line* to all that read *logger*, which is known to be enabled for INFO."""
    if logger.__class__ is _LOGGER and "log" not in logger.__dict__:
        only = None if logger.filters or logger.disabled else _only_files(logger)
        if only is None:
            record = logger.makeRecord(logger.name, logging.INFO, __file__, _LINE, line, (), None, "access")
            logger.handle(record)
            return
        for file in only:
            file.write_line(line)
    else:
        # an application's own way to log
        logger.log(logging.INFO, line)


_LINE = write_access.__code__.co_firstlineno


def _only_files(logger: logging.Logger) -> list[AccessFile] | None:
    """Return the files of ours that a line goes to if nobody else reads it, else None."""
    here: logging.Logger | None = logger
    files: list[AccessFile] = []
    while here is not None:
        for handler in here.handlers:
            if handler.__class__ is _NULL:
                continue
            if not isinstance(handler, AccessFile) or not _is_plain(handler):
                return None
            # once, as ``NotTwice`` has it
            if not files or all(file.baseFilename != handler.baseFilename for file in files):
                files.append(handler)
        if not here.propagate:
            break
        here = here.parent
    return files


def _is_plain(handler: AccessFile) -> bool:
    """True for a file that writes nothing but the message, of every record."""
    filters = handler.filters
    return (
        handler.__class__ is AccessFile
        and handler.level <= _INFO
        and handler.formatter is logfmt
        and len(filters) == 1
        and filters[0].__class__ is NotTwice
    )
