"""Another part of the tree for each host name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cherrypy.context import serving
from cherrypy.core.plan import config_of
from cherrypy.dispatch.objects import Dispatcher


def VirtualHost(
    next_dispatcher: Any = Dispatcher(),  # noqa: B008
    use_x_forwarded_host: bool = True,
    **domains: str,
) -> Callable[[str], Any]:
    """Return a dispatcher that puts the prefix of the request's host before the path.

    >>> VirtualHost(**{'www.domain2.example': '/domain2'})    # Host: www.domain2.example, /x -> /domain2/x

    The client's path stays what it was: ``path_info`` and ``url()`` do not show the prefix.
    """

    def dispatch(path_info: str) -> Any:
        request = serving.request
        host = request.headers.get("Host", "")
        if use_x_forwarded_host:
            host = request.headers.get("X-Forwarded-Host", host)
        prefix = domains.get(host, "")
        if prefix:
            path_info = _join(prefix, path_info)
        result = next_dispatcher(path_info)
        # staticdir cuts its section off the path that the client sees
        section = config_of(request).get("tools.staticdir.section")
        if section and prefix:
            request.config["tools.staticdir.section"] = section[len(prefix) :]
        return result

    return dispatch


def _join(prefix: str, path_info: str) -> str:
    """Return both as one path with exactly one slash between."""
    joined = "/".join((prefix, path_info))
    while "//" in joined:
        joined = joined.replace("//", "/")
    return joined
