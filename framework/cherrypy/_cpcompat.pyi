"""Old names, for type checkers: at run time ``cherrypy._aliases`` makes this module."""

from http.client import HTTPSConnection

from cherrypy.http.text import assert_text as assert_native
from cherrypy.http.text import to_bytes as ntob
from cherrypy.http.text import to_native as tonative
from cherrypy.http.text import to_text as ntou

text_or_bytes: tuple[type[str], type[bytes]]

__all__ = [
    "HTTPSConnection",
    "assert_native",
    "ntob",
    "ntou",
    "text_or_bytes",
    "tonative",
]
