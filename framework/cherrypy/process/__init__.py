"""The site container: a bus for the process, and the plugins and servers that listen to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cherrypy.process.wspbus import bus

if TYPE_CHECKING:
    # At run time ``import cherrypy`` has imported them.
    from cherrypy.process import plugins as plugins
    from cherrypy.process import servers as servers
    from cherrypy.process import wspbus as wspbus

__all__ = ["bus"]
