"""The documented name ``cherrypy.lib.headers.parse_header``."""

from __future__ import annotations

from cherrypy.http.elements import parse_header

__all__ = ["parse_header"]
