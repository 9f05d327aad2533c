"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.dispatch.handlers import LateParamPageHandler
from cherrypy.dispatch.handlers import PageHandler
from cherrypy.dispatch.method import MethodDispatcher
from cherrypy.dispatch.objects import Dispatcher
from cherrypy.dispatch.objects import punctuation_to_underscores
from cherrypy.dispatch.objects import validate_translator
from cherrypy.dispatch.routes import RoutesDispatcher
from cherrypy.dispatch.signatures import getargspec
from cherrypy.dispatch.signatures import test_callable_spec
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
