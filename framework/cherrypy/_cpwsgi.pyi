"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.core.streams import is_closable_iterator
from cherrypy.http.text import to_text as ntou
from cherrypy.lib import httputil
from cherrypy.wsgi.app import AppResponse
from cherrypy.wsgi.app import CPWSGIApp
from cherrypy.wsgi.environ import downgrade_wsgi_ux_to_1x
from cherrypy.wsgi.middleware import ExceptionTrapper
from cherrypy.wsgi.middleware import InternalRedirector
from cherrypy.wsgi.middleware import VirtualHost

__all__ = [
    "AppResponse",
    "CPWSGIApp",
    "ExceptionTrapper",
    "InternalRedirector",
    "VirtualHost",
    "downgrade_wsgi_ux_to_1x",
    "httputil",
    "is_closable_iterator",
    "ntou",
]
