"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from math import inf

from cherrypy.core.entity import Entity
from cherrypy.core.entity import RequestBody
from cherrypy.core.entity import process_urlencoded
from cherrypy.core.formdata import Part
from cherrypy.core.formdata import process_multipart
from cherrypy.core.formdata import process_multipart_form_data
from cherrypy.core.sizedreader import DEFAULT_BUFFER_SIZE
from cherrypy.core.sizedreader import SizedReader
from cherrypy.http.query import unquote_plus
from cherrypy.http.text import to_text as ntou
from cherrypy.lib import httputil

__all__ = [
    "DEFAULT_BUFFER_SIZE",
    "Entity",
    "Part",
    "RequestBody",
    "SizedReader",
    "httputil",
    "inf",
    "ntou",
    "process_multipart",
    "process_multipart_form_data",
    "process_urlencoded",
    "unquote_plus",
]
