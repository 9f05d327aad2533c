"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.core.expose import expose
from cherrypy.lib import auth_basic
from cherrypy.lib import auth_digest
from cherrypy.lib import jsontools
from cherrypy.toolbox.builtin import default_toolbox
from cherrypy.toolbox.special import CachingTool
from cherrypy.toolbox.special import SessionAuthTool
from cherrypy.toolbox.special import SessionTool
from cherrypy.toolbox.special import XMLRPCController
from cherrypy.toolbox.tool import ErrorTool
from cherrypy.toolbox.tool import HandlerTool
from cherrypy.toolbox.tool import HandlerWrapperTool
from cherrypy.toolbox.tool import Tool
from cherrypy.toolbox.tool import Toolbox

__all__ = [
    "CachingTool",
    "ErrorTool",
    "HandlerTool",
    "HandlerWrapperTool",
    "SessionAuthTool",
    "SessionTool",
    "Tool",
    "Toolbox",
    "XMLRPCController",
    "auth_basic",
    "auth_digest",
    "default_toolbox",
    "expose",
    "jsontools",
]
