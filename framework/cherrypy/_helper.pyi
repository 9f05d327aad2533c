"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from cherrypy._aliases import classproperty
from cherrypy.core.expose import expose
from cherrypy.core.expose import popargs
from cherrypy.core.urls import normalize_path
from cherrypy.core.urls import url

text_or_bytes: tuple[type[str], type[bytes]]

__all__ = [
    "classproperty",
    "expose",
    "normalize_path",
    "popargs",
    "text_or_bytes",
    "url",
]
