"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy._aliases import classproperty
from cherrypy.core.errorpage import bare_error
from cherrypy.core.errorpage import clean_headers
from cherrypy.core.errorpage import format_exc
from cherrypy.core.errorpage import get_error_page
from cherrypy.core.errors import CherryPyException
from cherrypy.core.errors import HTTPError
from cherrypy.core.errors import HTTPRedirect
from cherrypy.core.errors import InternalRedirect
from cherrypy.core.errors import NotFound
from cherrypy.http.text import to_bytes as ntob
from cherrypy.http.text import to_native as tonative

__all__ = [
    "CherryPyException",
    "HTTPError",
    "HTTPRedirect",
    "InternalRedirect",
    "NotFound",
    "bare_error",
    "classproperty",
    "clean_headers",
    "format_exc",
    "get_error_page",
    "ntob",
    "tonative",
]
