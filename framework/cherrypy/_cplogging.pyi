"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from logging import NullHandler

from cherrypy.core.accessfile import logfmt
from cherrypy.core.loghandlers import WSGIErrorHandler
from cherrypy.core.logs import LazyRfc3339UtcTime
from cherrypy.core.logs import LogManager

__all__ = [
    "LazyRfc3339UtcTime",
    "LogManager",
    "NullHandler",
    "WSGIErrorHandler",
    "logfmt",
]
