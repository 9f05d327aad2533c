"""Another part of the tree for each host name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cherrypy.context import serving
from cherrypy.core.plan import config_of
from cherrypy.dispatch.objects import Dispatcher
from cherrypy.http.forwarded import named_hosts


def VirtualHost(
    next_dispatcher: Any = Dispatcher(),  # noqa: B008
    use_x_forwarded_host: bool = True,
    **domains: str,
) -> Callable[[str], Any]:
    """Return a dispatcher that puts the prefix of the request's host before the path.

    >>> VirtualHost(**{'www.domain2.example': '/domain2'})    # Host: www.domain2.example, /x -> /domain2/x

    The client's path stays what it was: ``path_info`` and ``url()`` do not show the prefix. A name without a port
    stands for all ports; capitals and a dot at the end make no difference.

    SECURITY: X-Forwarded-Host is anybody's text unless a proxy in front replaces it; without one, say
    ``use_x_forwarded_host=False``. Either way a host chooses pages and grants nothing.
    """
    by_name = {name.lower(): prefix for name, prefix in domains.items()}

    def dispatch(path_info: str) -> Any:
        request = serving.request
        host = request.headers.get("Host", "")
        if use_x_forwarded_host:
            host = request.headers.get("X-Forwarded-Host", host)
        prefix = domains.get(host, "")
        if not prefix:
            prefix = next((by_name[name] for name in named_hosts(host) if name in by_name), "")
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
