"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.app.modpython import ModPythonServer
from cherrypy.app.modpython import handler
from cherrypy.app.modpython import popen
from cherrypy.app.modpython import read_process
from cherrypy.app.modpython import recursive
from cherrypy.app.modpython import send_response
from cherrypy.app.modpython import setup
from cherrypy.core.errorpage import bare_error
from cherrypy.core.errorpage import format_exc
from cherrypy.lib import httputil

__all__ = [
    "ModPythonServer",
    "bare_error",
    "format_exc",
    "handler",
    "httputil",
    "popen",
    "read_process",
    "recursive",
    "send_response",
    "setup",
]
