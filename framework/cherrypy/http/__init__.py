"""Facts of HTTP: pure readers and writers of its small grammars, with nothing but the standard library below them."""

from __future__ import annotations

from cherrypy.http.errors import BadHeader
from cherrypy.http.forwarded import Origin, Trust
from cherrypy.http.headers import CaseInsensitiveDict, HeaderMap

__all__ = ["BadHeader", "CaseInsensitiveDict", "HeaderMap", "Origin", "Trust"]
