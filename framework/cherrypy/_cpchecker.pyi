"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.app.checker import Checker

__all__ = [
    "Checker",
]
