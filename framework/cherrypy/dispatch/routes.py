"""Dispatch by the ``routes`` package: patterns of paths, connected to controllers."""

from __future__ import annotations

from typing import Any

from cherrypy.conf import site
from cherrypy.context import serving
from cherrypy.core.errors import HTTPRedirect, NotFound
from cherrypy.dispatch.handlers import LateParamPageHandler

# What a match says about itself, not about the page's parameters.
_OWN_KEYS = ("controller", "action")


class RoutesDispatcher:
    """A map of routes.

    Args:
        full_result: pass 'controller' and 'action' to the page as well.
        mapper_options: of ``routes.Mapper``.

    Attributes:
        mapper: the ``routes.Mapper``.
        controllers: {name of a route: controller}.
    """

    def __init__(self, full_result: bool = False, **mapper_options: Any) -> None:
        import routes  # noqa: PLC0415

        self.full_result = full_result
        self.controllers: dict[str, Any] = {}
        self.mapper = routes.Mapper(**mapper_options)
        self.mapper.controller_scan = self.controllers.keys

    def connect(self, name: str, route: str, controller: Any, **kwargs: Any) -> None:
        """Add a route: *route* is a pattern such as '/book/{id}', *controller* an object with the pages."""
        self.controllers[name] = controller
        self.mapper.connect(name, route, controller=name, **kwargs)

    def redirect(self, url: str) -> None:
        """Redirect to *url*; for routes.

        Raises:
            HTTPRedirect: always.
        """
        raise HTTPRedirect(url)

    def __call__(self, path_info: str) -> None:
        """Set ``request.handler`` and ``config`` for *path_info*."""
        page = self.find_handler(path_info)
        serving.request.handler = LateParamPageHandler(page) if page else NotFound()

    def find_handler(self, path_info: str) -> Any:
        """Return the page for *path_info*, None if no route matches; its variables go to ``request.params``."""
        import routes  # noqa: PLC0415

        request = serving.request
        config = routes.request_config()
        config.mapper = self.mapper
        if hasattr(request, "wsgi_environ"):
            config.environ = request.wsgi_environ
        config.host = request.headers.get("Host")
        config.protocol = request.scheme
        config.redirect = self.redirect
        result = self.mapper.match(path_info)
        config.mapper_dict = result
        variables = dict(result or {})
        request.params.update(
            variables if self.full_result else {k: v for k, v in variables.items() if k not in _OWN_KEYS}
        )
        return self._page_and_config(request, path_info, result)

    def _page_and_config(self, request: Any, path_info: str, result: Any) -> Any:
        """Pick the page and merge the configuration along the path."""
        app = request.app
        merged: dict[str, Any] = dict(site.config)

        def merge(conf: Any) -> None:
            if conf:
                merged.update(conf)

        merge(getattr(app.root, "_cp_config", None))
        merge(app.config.get("/"))
        atoms = [atom for atom in path_info.split("/") if atom]
        last = atoms.pop() if atoms else None
        here = ""
        for atom in atoms:
            here = f"{here}/{atom}"
            merge(app.config.get(here))
        page = self._page(result, merge)
        if last:
            merge(app.config.get(f"{here}/{last}"))
        request.config = merged
        return page

    def _page(self, result: Any, merge: Any) -> Any:
        if not result:
            return None
        controller = self.controllers.get(result.get("controller"), result.get("controller"))
        if isinstance(controller, type):
            controller = controller()
        merge(getattr(controller, "_cp_config", None))
        action = result.get("action")
        if action is None:
            return controller
        page = getattr(controller, action, None)
        merge(getattr(page, "_cp_config", None))
        return page
