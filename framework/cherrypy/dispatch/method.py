"""Pages by HTTP method: an exposed object whose methods are called GET, POST, ..."""

from __future__ import annotations

from typing import Any

from cherrypy.context import serving
from cherrypy.core.errors import HTTPError, NotFound
from cherrypy.dispatch.handlers import LateParamPageHandler
from cherrypy.dispatch.objects import Dispatcher


class MethodDispatcher(Dispatcher):
    """Walk to an exposed object, then call its method named after the HTTP method; HEAD falls back to GET."""

    def __call__(self, path_info: str) -> None:
        """Set ``request.handler``; a resource without that method answers 405 with an Allow header."""
        request = serving.request
        resource, rest = self.find_handler(path_info)
        if not resource:
            request.handler = NotFound()
            return
        allowed = [name for name in dir(resource) if name.isupper() and callable(getattr(resource, name, None))]
        if "GET" in allowed and "HEAD" not in allowed:
            allowed.append("HEAD")
        serving.response.headers["Allow"] = ", ".join(sorted(allowed))
        method = request.method.upper()
        page: Any = getattr(resource, method, None)
        if page is None and method == "HEAD":
            page = getattr(resource, "GET", None)
        if not callable(page):
            # a constant is upper case as well, and any token can be a method
            request.handler = HTTPError(405)
            return
        conf = getattr(page, "_cp_config", None)
        if conf:
            request.app.plans.extend(request, conf)
        request.handler = LateParamPageHandler(page, *(segment.replace("%2F", "/") for segment in rest))
