"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.core.errorpage import bare_error
from cherrypy.core.errorpage import format_exc
from cherrypy.core.hooks import Hook
from cherrypy.core.hooks import HookMap
from cherrypy.core.hooks import hookpoints
from cherrypy.core.namespaces import error_page_namespace
from cherrypy.core.namespaces import hooks_namespace
from cherrypy.core.namespaces import request_namespace
from cherrypy.core.namespaces import response_namespace
from cherrypy.core.request import Request
from cherrypy.core.response import Response
from cherrypy.core.response import ResponseBody
from cherrypy.core.uniqueid import LazyUUID4
from cherrypy.http.text import to_bytes as ntob
from cherrypy.lib import encoding
from cherrypy.lib import httputil
from cherrypy.lib import reprconf

__all__ = [
    "Hook",
    "HookMap",
    "LazyUUID4",
    "Request",
    "Response",
    "ResponseBody",
    "bare_error",
    "encoding",
    "error_page_namespace",
    "format_exc",
    "hookpoints",
    "hooks_namespace",
    "httputil",
    "ntob",
    "reprconf",
    "request_namespace",
    "response_namespace",
]
