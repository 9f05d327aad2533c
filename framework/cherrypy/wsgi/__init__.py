"""Applications as WSGI callables, documented as ``cherrypy.wsgi``."""

from cherrypy.wsgi.app import AppResponse, CPWSGIApp
from cherrypy.wsgi.environ import downgrade_wsgi_ux_to_1x
from cherrypy.wsgi.middleware import ExceptionTrapper, InternalRedirector, VirtualHost

__all__ = [
    "AppResponse",
    "CPWSGIApp",
    "ExceptionTrapper",
    "InternalRedirector",
    "VirtualHost",
    "downgrade_wsgi_ux_to_1x",
]
