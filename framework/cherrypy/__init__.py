"""An object-oriented web framework that any application written for CherryPy runs on.

    import cherrypy

    class Hello:
        @cherrypy.expose
        def index(self):
            return "Hello, world!"

    cherrypy.quickstart(Hello())

This module holds the public names and nothing else: they are built in ``_wiring``. Three more appear late:
``session`` with the first request that has one, ``_cache`` with the first cached page, ``servers`` with the first
named server of the configuration.
"""

from typing import TYPE_CHECKING

from cherrypy import _aliases, dispatch, process, wsgi
from cherrypy import lib as lib
from cherrypy._wiring import checker as checker
from cherrypy._wiring import engine, log, quickstart, tools, tree
from cherrypy._wiring import health as health
from cherrypy._wiring import server as server
from cherrypy.aio import sse as sse
from cherrypy.aio import websocket as websocket
from cherrypy.app.application import Application
from cherrypy.conf.site import config
from cherrypy.context import request, response, serving, thread_data
from cherrypy.core import version as _version
from cherrypy.core.errors import CherryPyException, HTTPError, HTTPRedirect, InternalRedirect, NotFound
from cherrypy.core.expose import expose, popargs
from cherrypy.core.urls import url
from cherrypy.toolbox.tool import Tool

if TYPE_CHECKING:
    from cherrypy import _cpchecker as _cpchecker
    from cherrypy import _cpcompat as _cpcompat
    from cherrypy import _cpconfig as _cpconfig
    from cherrypy import _cpdispatch as _cpdispatch
    from cherrypy import _cperror as _cperror
    from cherrypy import _cplogging as _cplogging
    from cherrypy import _cpreqbody as _cpreqbody
    from cherrypy import _cprequest as _cprequest
    from cherrypy import _cpserver as _cpserver
    from cherrypy import _cptools as _cptools
    from cherrypy import _cptree as _cptree
    from cherrypy import _cpwsgi as _cpwsgi
    from cherrypy import _helper as _helper
    from cherrypy import _json as _json
    from cherrypy.app.server import Server
    from cherrypy.lib.caching import MemoryCache
    from cherrypy.lib.sessions import Session

    session: Session
    servers: dict[str, Server]
    _cache: MemoryCache

__version__ = _version.VERSION
_aliases.install(__name__)

__all__ = (
    "HTTPError",
    "HTTPRedirect",
    "InternalRedirect",
    "NotFound",
    "CherryPyException",
    "dispatch",
    "tools",
    "Tool",
    "Application",
    "wsgi",
    "process",
    "tree",
    "engine",
    "quickstart",
    "serving",
    "request",
    "response",
    "thread_data",
    "log",
    "expose",
    "popargs",
    "url",
    "config",
)
