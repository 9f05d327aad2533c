"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.lib.jsoncodec import decode
from cherrypy.lib.jsoncodec import encode

__all__ = [
    "decode",
    "encode",
]
