"""What an application would do with a path: the page it leads to, and where each configured value stands."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any

import cherrypy
from cherrypy.lib.httputil import Host
from kirsch.link.belief import Explained, Value


def explain(application: Any, path: str) -> Explained:
    """Return what *path*, below the mount, leads to; has to run inside a request, which is put back."""
    if not isinstance(application, cherrypy.Application):
        return Explained(handler=f"{_name(application)}, which dispatches by itself", arguments=[], config=[])
    mine = cherrypy.serving.request, cherrypy.serving.response
    # a request of its own, which no plugin hears of: it never runs
    nobody = Host("127.0.0.1", 0)
    request = application.request_class(nobody, nobody)
    request.app, request.method, request.path_info = application, "GET", path
    request.script_name, request.headers = application.script_name, mine[0].headers
    cherrypy.serving.load(request, application.response_class())
    try:
        request.get_resource(path)
        handler, merged, arguments = request.handler, dict(request.config), list(request.args or ())
    except cherrypy.CherryPyException as error:
        return Explained(handler=f"none: the dispatcher raises {error!r}", arguments=[], config=[])
    finally:
        cherrypy.serving.load(*mine)
    page = None if isinstance(handler, cherrypy.HTTPError) else getattr(handler, "callable", handler)
    levels = list(_levels(application, path, page))
    values = [Value(key=key, value=repr(value), level=_level_of(key, levels)) for key, value in sorted(merged.items())]
    name = _name(page) if page is not None else f"none: {getattr(handler, 'code', 404)}"
    return Explained(handler=name, arguments=arguments, config=values)


def _levels(application: Any, path: str, handler: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and content of all that a page's configuration is merged from, the last one first."""
    if handler is not None:
        own = getattr(handler, "_cp_config", {})
        yield f"_cp_config of {_name(handler)}", own
    names = [name for name in path.split("/") if name]
    for count in range(len(names), -1, -1):
        section = "/" + "/".join(names[:count])
        yield f"[{section}]", application.config.get(section, {})
        node = application.root
        for name in names[:count]:
            node = getattr(node, name.replace(".", "_"), None)
        yield f"_cp_config of {_name(node)}", getattr(node, "_cp_config", {})
    yield "[global] of the site", cherrypy.config


def _level_of(key: str, levels: list[tuple[str, Mapping[str, Any]]]) -> str:
    return next((name for name, content in levels if key in content), "the framework")


def _name(found: Any) -> str:
    """``shop/web.py: Shop.cart`` for what has code, the class's name for anything else."""
    function = inspect.unwrap(getattr(found, "__func__", found)) if callable(found) else found
    code = getattr(function, "__code__", None)
    if code is None:
        kind = found if isinstance(found, type) else type(found)
        return f"{kind.__module__}.{kind.__qualname__}"
    return f"{'/'.join(code.co_filename.split(os.sep)[-2:])}:{code.co_firstlineno} {function.__qualname__}"
