"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.app.native import NativeResponder as NativeGateway
from cherrypy.app.wsgi_server import CPHTTPServer
from cherrypy.core.errorpage import bare_error
from cherrypy.core.errorpage import format_exc
from cherrypy.http.text import to_native as tonative
from cherrypy.lib import httputil

__all__ = [
    "CPHTTPServer",
    "NativeGateway",
    "bare_error",
    "format_exc",
    "httputil",
    "tonative",
]
