"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.app.wsgi_server import CPWSGIServer
from cherrypy.httpd.message import Message as CPWSGIHTTPRequest

__all__ = [
    "CPWSGIHTTPRequest",
    "CPWSGIServer",
]
