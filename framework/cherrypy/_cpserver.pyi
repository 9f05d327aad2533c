"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.app.server import Server
from cherrypy.conf.expression import attributes
from cherrypy.process.servers import ServerAdapter

text_or_bytes: tuple[type[str], type[bytes]]

__all__ = [
    "Server",
    "ServerAdapter",
    "attributes",
    "text_or_bytes",
]
