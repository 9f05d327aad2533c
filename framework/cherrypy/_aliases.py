"""The old module names that the manual uses and applications import: one table.

``cherrypy._cptools`` and the like are modules with the names that live elsewhere now. Assigning to one of them (as
tests do, to replace something) assigns there, too.
"""

from __future__ import annotations

import binascii
import hashlib
import http.client
import importlib.machinery
import logging
import math
import sys
from types import ModuleType
from typing import Any

from cherrypy import context, dispatch, wsgi
from cherrypy._wiring import log_of_the_bus, tools
from cherrypy.app import application, checker, modpython, native, server, tree, wsgi_server
from cherrypy.conf import site
from cherrypy.core import (
    entity,
    errorpage,
    errors,
    expose,
    formdata,
    hooks,
    host,
    logs,
    namespaces,
    request,
    response,
    sizedreader,
    uniqueid,
    urls,
)
from cherrypy.dispatch import handlers, objects, signatures
from cherrypy.http import query, text
from cherrypy.httpd import message
from cherrypy.lib import (
    auth_basic,
    auth_digest,
    caching,
    cptools,
    encoding,
    gctools,
    httputil,
    jsoncodec,
    jsontools,
    reprconf,
    sessions,
    static,
    xmlrpcutil,
)
from cherrypy.process import plugins
from cherrypy.toolbox import builtin, special, tool
from cherrypy.wsgi import app as wsgi_app
from cherrypy.wsgi import middleware

_BYTES_OR_TEXT = (str, bytes)
_COMPAT = {
    "ntob": text.to_bytes,
    "ntou": text.to_text,
    "tonative": text.to_native,
    "assert_native": text.assert_text,
    "text_or_bytes": _BYTES_OR_TEXT,
    "HTTPSConnection": http.client.HTTPSConnection,
}


class classproperty:
    """A property of the class itself."""

    def __init__(self, func: Any) -> None:
        self.fget = func.__func__ if isinstance(func, classmethod) else func

    def __get__(self, obj: Any, objtype: type | None = None) -> Any:
        """Call the getter with the class."""
        return self.fget(objtype if objtype is not None else type(obj))


# {old name: (modules to look in, names that are elsewhere or were called otherwise)}
_TABLE: dict[str, tuple[tuple[ModuleType, ...], dict[str, Any]]] = {
    "_cpchecker": ((checker,), {}),
    "_cpcompat": ((), _COMPAT),
    "_cpconfig": ((site,), {"reprconf": reprconf, "text_or_bytes": _BYTES_OR_TEXT}),
    "_cpdispatch": ((dispatch, objects, handlers, signatures), {}),
    "_cperror": ((errors, errorpage), {"classproperty": classproperty, "_httputil": httputil, **_COMPAT}),
    "_cplogging": ((logs,), {"NullHandler": logging.NullHandler}),
    "_cpmodpy": ((modpython, errorpage), {"httputil": httputil}),
    "_cpnative_server": (
        (wsgi_server, native, errorpage),
        {"NativeGateway": native.NativeResponder, "httputil": httputil, **_COMPAT},
    ),
    "_cpreqbody": ((entity, formdata, sizedreader, query), {"httputil": httputil, "inf": math.inf, **_COMPAT}),
    "_cprequest": (
        (request, response, hooks, namespaces, uniqueid, host, errorpage),
        {"httputil": httputil, "encoding": encoding, "reprconf": reprconf, **_COMPAT},
    ),
    "_cpserver": ((server,), _COMPAT),
    "_cptools": (
        (tool, special, builtin),
        {
            "expose": expose.expose,
            "auth_basic": auth_basic,
            "auth_digest": auth_digest,
            "jsontools": jsontools,
            "_caching": caching,
            "_sessions": sessions,
            "_xmlrpc": xmlrpcutil,
        },
    ),
    "_cptree": ((tree, application), {"tools": tools, "httputil": httputil, "reprconf": reprconf}),
    "_cpwsgi": ((wsgi, wsgi_app, middleware), {"httputil": httputil, **_COMPAT}),
    "_cpwsgi_server": ((wsgi_server,), {"CPWSGIHTTPRequest": message.Message}),
    "_helper": ((expose, urls), {"classproperty": classproperty, "text_or_bytes": _BYTES_OR_TEXT}),
    "_json": ((jsoncodec,), {}),
}

# {old name: other old names that it has as attributes}, for those who reach one module through another
_NEIGHBOURS = {
    "_cplogging": ("_cperror",),
    "_cprequest": ("_cpreqbody",),
    "_cptree": ("_cpconfig", "_cplogging", "_cprequest", "_cpwsgi"),
    "_cpwsgi": ("_cperror",),
}

# {documented module: names of elsewhere that it has always had, and that are reached through it; "cherrypy": the root}
_VISITORS: dict[ModuleType, dict[str, Any]] = {
    auth_basic: {"cherrypy": None, "ntou": text.to_text, "tonative": text.to_native},
    auth_digest: {"cherrypy": None, "md5": hashlib.md5},
    caching: {"cherrypy": None, "cptools": cptools, "httputil": httputil},
    cptools: {"cherrypy": None, "md5": hashlib.md5, "_httputil": httputil},
    encoding: {"cherrypy": None},
    gctools: {"cherrypy": None},
    httputil: {"cherrypy": None, "b2a_base64": binascii.b2a_base64},
    jsontools: {"cherrypy": None},
    sessions: {"cherrypy": None},
    static: {"cherrypy": None, "cptools": cptools, "httputil": httputil, "ntob": text.to_bytes},
    xmlrpcutil: {"cherrypy": None},
    plugins: {"ntob": text.to_bytes, "text_or_bytes": _BYTES_OR_TEXT},
}

# Names of the root that were never documented and are met all the same, in tests of applications mostly.
_PRIVATE = {
    "_Serving": context.Serving,
    "_ThreadData": context.ThreadData,
    "_ThreadLocalProxy": context.ThreadLocalProxy,
    "_GlobalLogManager": type(logs.log),
    "_buslog": log_of_the_bus,
    "_global_conf_alias": site.config,
    "_httputil": httputil,
}


class Alias(ModuleType):
    """A module under an old name; see the module's docstring."""

    def __init__(self, name: str, owners: tuple[ModuleType, ...], extra: dict[str, Any]) -> None:
        super().__init__(name, "Old name; see cherrypy._aliases.")
        state = self.__dict__
        owned = {key: owner for owner in reversed(owners) for key in vars(owner) if not key.startswith("__")}
        state["_owners"] = owned
        # Copies, since tools that replace names for a while look into ``__dict__`` for what to put back.
        state.update({key: getattr(owner, key) for key, owner in owned.items()})
        state["__spec__"] = importlib.machinery.ModuleSpec(name, None)
        state["__package__"] = "cherrypy"
        state.update(extra)

    def __setattr__(self, name: str, value: Any) -> None:
        owner = self.__dict__["_owners"].get(name)
        if owner is not None:
            setattr(owner, name, value)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        owner = self.__dict__["_owners"].get(name)
        if owner is not None:
            delattr(owner, name)
        super().__delattr__(name)


def install(package: str) -> None:
    """Make the old names importable below *package*, and attributes of it."""
    root = sys.modules[package]
    modules = {
        name: Alias(f"{package}.{name}", owners, {"cherrypy": root, **extra})
        for name, (owners, extra) in _TABLE.items()
    }
    for name, module in modules.items():
        vars(module).update({neighbour: modules[neighbour] for neighbour in _NEIGHBOURS.get(name, ())})
        sys.modules[module.__name__] = module
        setattr(root, name, module)
    for host_module, visitors in _VISITORS.items():
        for name, value in visitors.items():
            if not hasattr(host_module, name):
                setattr(host_module, name, root if name == "cherrypy" else value)
    for name, value in _PRIVATE.items():
        setattr(root, name, value)
