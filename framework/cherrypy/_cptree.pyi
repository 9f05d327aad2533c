"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.app.application import Application
from cherrypy.app.tree import Tree
from cherrypy.lib import httputil
from cherrypy.lib import reprconf
from cherrypy.toolbox.builtin import tools

__all__ = [
    "Application",
    "Tree",
    "httputil",
    "reprconf",
    "tools",
]
