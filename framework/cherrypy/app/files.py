"""Directories of files below which there are no pages: where ``plainfile`` may answer."""

from __future__ import annotations

from typing import Any

from cherrypy.core.plan import Plan
from cherrypy.lib import static
from cherrypy.lib.encoding import ResponseEncoder
from cherrypy.lib.redirection import trailing_slash
from cherrypy.toolbox.builtin import tools

#: Where the tools that are on by default have their hooks.
DEFAULT_POINTS = frozenset({"before_handler", "before_error_response"})
_UNDERSTOOD = frozenset({"section", "dir", "root", "match", "content_types", "index"})


class Files:
    """A section with ``tools.staticdir``, at an object tree that has nothing of its name; like a ``Walk`` to a page.

    Attributes:
        root, root_conf: of the application.
        section: the section's path, without a slash at its end.
        section_length: how many characters of a path are the section and the slash behind it.
        plan: of everything below it.
        top: the directory.
        content_types: as configured for the tool.
        page: what answers the long way.
    """

    __slots__ = (
        "_dispatch_method",
        "_name",
        "content_types",
        "page",
        "plan",
        "root",
        "root_conf",
        "section",
        "section_length",
        "top",
    )

    is_index = None

    def __init__(self, root: Any, name: str, dispatch_method: str, plan: Plan, settings: dict[str, Any]) -> None:
        self.root = root
        self.root_conf = getattr(root, "_cp_config", None)
        self.section: str = settings["section"].rstrip("/")
        self.section_length = len(self.section) + 1
        self.plan = plan
        self.top: str = static.top_of(settings["dir"], settings.get("root", ""))
        self.content_types = settings.get("content_types")
        self.page = static.staticdir
        self._name = name
        self._dispatch_method = dispatch_method

    def still_leads_to(self, root: Any) -> Any:
        """Return the tool's function if there is still no page, else None."""
        plan = self.plan
        if root is not self.root or (plan.snapshots and not plan.is_current()):
            return None
        if root is not None and (
            getattr(root, "_cp_config", None) is not self.root_conf
            or getattr(root, self._name, None) is not None
            or getattr(root, self._dispatch_method, None) is not None
            or getattr(root, "exposed", False)
            or getattr(getattr(root, "default", None), "exposed", False)
        ):
            return None
        return self.page


def find_files(app: Any, dispatcher: Any, path_info: str) -> Files | None:
    """Return the files that *path_info* is one of, if it leads to no page; None if the long way has to find out.

    Args:
        app: a plain application.
        dispatcher: its only one, an ordinary ``Dispatcher``.
        path_info: decoded.
    """
    root = app.root
    first = next(filter(None, path_info.split("/")), "")
    name = dispatcher._attribute(first)
    method = dispatcher.dispatch_method_name
    if not first or (root is not None and (name[:2] == "__" or getattr(root, method, None) is not None)):
        return None
    if root is not None and getattr(root, name, None) is not None:
        return None
    plan = dispatcher.plan_of(app, path_info)
    settings = _settings_of(plan)
    if settings is None:
        return None
    section = settings["section"].rstrip("/")
    if not path_info.startswith(section + "/") or (root is not None and not section):
        return None
    if any(other.startswith(section + "/") for other in app.plans.sections):
        return None
    files = Files(root, name, method, plan, settings)
    return files if files.still_leads_to(root) else None


def _settings_of(plan: Plan) -> dict[str, Any] | None:
    """Return what ``tools.staticdir`` is called with if that is all that a request of *plan* needs."""
    if not (plan.is_compiled and plan.is_simple and plan.points.keys() <= DEFAULT_POINTS):
        return None
    found: dict[str, Any] | None = None
    for hook in plan.points.get("before_handler", ()):
        if hook.callback == tools.staticdir._wrapper and tools.staticdir.callable is static.staticdir:
            found = hook.kwargs
        elif hook.kwargs or hook.callback not in (trailing_slash, ResponseEncoder):
            return None
    if found is None or not found.keys() <= _UNDERSTOOD or found.get("match"):
        return None
    directory, section = found.get("dir"), found.get("section")
    if not isinstance(directory, str) or directory[:1] == "~" or not isinstance(section, str) or section[:1] != "/":
        return None
    if not directory.startswith("/") and not found.get("root"):
        return None
    return found
