"""From a path to a handler: the dispatchers, documented as ``cherrypy.dispatch``."""

from cherrypy.dispatch.handlers import LateParamPageHandler, PageHandler
from cherrypy.dispatch.method import MethodDispatcher
from cherrypy.dispatch.objects import Dispatcher, punctuation_to_underscores, validate_translator
from cherrypy.dispatch.routes import RoutesDispatcher
from cherrypy.dispatch.signatures import getargspec, test_callable_spec
from cherrypy.dispatch.virtualhost import VirtualHost
from cherrypy.dispatch.xmlrpc import XMLRPCDispatcher

__all__ = [
    "Dispatcher",
    "LateParamPageHandler",
    "MethodDispatcher",
    "PageHandler",
    "RoutesDispatcher",
    "VirtualHost",
    "XMLRPCDispatcher",
    "getargspec",
    "punctuation_to_underscores",
    "test_callable_spec",
    "validate_translator",
]
