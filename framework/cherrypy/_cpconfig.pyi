"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy.conf.site import Config
from cherrypy.conf.site import environments
from cherrypy.conf.site import merge
from cherrypy.lib import reprconf

text_or_bytes: tuple[type[str], type[bytes]]

__all__ = [
    "Config",
    "environments",
    "merge",
    "reprconf",
    "text_or_bytes",
]
