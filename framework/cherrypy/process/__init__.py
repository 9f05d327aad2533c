"""The site container: a bus for the process, and the plugins and servers that listen to it."""

from __future__ import annotations

from cherrypy.process.wspbus import bus

__all__ = ["bus"]
