"""Paths whose pages go the short way (``plainpage``), and what has to be as it was for them to do so again.

Law: a route is used only while all that it was learned from is unchanged: the tree and what is mounted on it, the
application, its configuration and every other one, the objects on the way to the page. Everything else about a request
is looked at where it is needed.
"""

from __future__ import annotations

import inspect
from typing import Any

from cherrypy.app.application import Application
from cherrypy.app.files import DEFAULT_POINTS, Files, find_files
from cherrypy.conf.epoch import changes
from cherrypy.core.plan import Plan
from cherrypy.core.request import Request
from cherrypy.core.response import Response
from cherrypy.dispatch.memory import MOST_ARGUMENTS, find, is_argument_of
from cherrypy.dispatch.objects import Dispatcher
from cherrypy.lib import jsontools
from cherrypy.lib.encoding import ResponseEncoder
from cherrypy.lib.redirection import trailing_slash
from cherrypy.wsgi.app import AppResponse, CPWSGIApp

#: What pages return: their Content-Type.
TEXT, JSON = "text/html", "application/json"
#: There is no page, but a directory of files.
FILES = "files"
_SENT_TYPES = {TEXT: "text/html;charset=utf-8", JSON: JSON, FILES: ""}

# The tools at before_handler, in their order, and what a page returns under them.
_KINDS = {
    (trailing_slash, ResponseEncoder): TEXT,
    (jsontools.json_out, trailing_slash, ResponseEncoder): JSON,
}
_LIMIT = 4096
_NO_SEGMENTS: tuple[str, ...] = ()


class Route:
    """One page that goes the short way.

    Attributes:
        app, tree, apps: where it was found; ``apps`` is what was mounted then.
        walk: the way to the page, and its plan; ``Files`` where there is none.
        kind: TEXT, JSON or FILES.
        key: by which the server remembers whether the page blocks.
        sent_type: the Content-Type as it is sent.
        encoding, separators: of its query.
    """

    __slots__ = (
        "app",
        "apps",
        "encoding",
        "key",
        "kind",
        "plan",
        "script_name",
        "seen",
        "sent_type",
        "separators",
        "table",
        "toolboxes",
        "tree",
        "walk",
        "wsgiapp",
    )

    def __init__(self, tree: Any, app: Application, walk: Any, kind: str) -> None:
        self.tree = tree
        self.apps = None if tree is None else dict(tree.apps)
        self.app = app
        self.wsgiapp = app.wsgiapp
        self.key = getattr(walk.page, "__code__", Route)
        self.script_name: str = app._script_name or ""
        self.walk = walk
        self.plan = walk.plan
        self.toolboxes = dict(app.toolboxes)
        self.table = app.plans.plans
        self.seen = -1  # the value of ``changes`` at which everything was as it is here
        self.kind = kind
        self.sent_type = _SENT_TYPES[kind]
        settings = walk.plan.request_attributes
        self.encoding: str = settings.get("query_string_encoding", Request.query_string_encoding)
        self.separators: str = settings.get("query_separators", Request.query_separators)

    def page_in(self, tree: Any) -> Any:
        """Return the page if it is where it was on *tree*, else None."""
        return self.page() if tree is self.tree and tree.apps == self.apps else None

    def page(self) -> Any:
        """Return the page if it is where it was in its application, else None."""
        app = self.app
        # PERF: lists and dicts are compared each time, since nobody tells of their changes; the rest if there were any
        if (self.seen != changes.value and not self._still_holds()) or (
            app.request_class is not Request
            or app.response_class is not Response
            or app.toolboxes != self.toolboxes
            or self.wsgiapp.pipeline != CPWSGIApp.pipeline
        ):
            return None
        return self.walk.still_leads_to(app.root)

    def takes(self, segment: str) -> bool:
        """True if *segment*, behind what the route was learned by, is an argument of its page, or leads to a file."""
        walk = self.walk
        return walk.__class__ is Files or is_argument_of(walk, segment, Request.dispatch)

    def _still_holds(self) -> bool:
        seen = changes.value
        app = self.app
        plans = app.plans
        plans.refresh(app.request_class, app)
        if plans.plans is self.table and app._script_name == self.script_name and is_plain(app):
            self.seen = seen
            return True
        return False


class Routes:
    """The routes of one site by the paths of requests; those with arguments by what stands before the arguments."""

    def __init__(self) -> None:
        self._known: dict[Any, Route] = {}

    def find(self, path: str) -> tuple[Route | None, tuple[str, ...]]:
        """Return the route for *path* (as it stands in a message) and the segments that are arguments of its page."""
        route = self._known.get(path)
        if route is not None:
            return route, _NO_SEGMENTS
        if "%" in path or not path.isascii():
            return None, _NO_SEGMENTS
        prefix = path
        for _ in range(MOST_ARGUMENTS):
            prefix, _, segment = prefix.rpartition("/")
            if not segment:
                break
            route = self._known.get((prefix,))
            if route is not None:
                if not route.takes(segment):
                    break
                return route, tuple(path[len(prefix) + 1 :].split("/"))
        return None, _NO_SEGMENTS

    def learn(self, tree: Any, app: Any, path: str, is_as_sent: bool) -> tuple[Route | None, tuple[str, ...]]:
        """Like ``find``, for a decoded *path* that is not known yet; None if its page has to go the long way.

        Args:
            tree: the site's; None for routes of the application alone.
            app: what is mounted for *path*.
            path: decoded, with the script name.
            is_as_sent: it is what stood in the message, so it can be found by that again.
        """
        if app.__class__ is not Application or app.request_class is not Request or app.response_class is not Response:
            return None, _NO_SEGMENTS  # they may have a life of their own
        plans = app.plans
        plans.refresh(Request, app)
        dispatcher = Request.dispatch
        if plans.has_dispatch or dispatcher.__class__ is not Dispatcher:
            return None, _NO_SEGMENTS
        script_name = app._script_name or ""
        path_info = path[len(script_name) :]
        walk, segments = find(plans.walks_of(dispatcher), path_info, dispatcher)
        if walk is None:
            files = find_files(app, dispatcher, path_info)
            prefix = "" if files is None else script_name + files.section
            if files is not None and is_as_sent and not (tree is not None and _has_mount_below(tree, prefix)):
                self._keep((prefix,), Route(tree, app, files, FILES))
            return None, _NO_SEGMENTS
        if walk.is_index and path_info[-1:] != "/":
            return None, _NO_SEGMENTS
        plan = walk.plan
        kind = plan.short_way if plan.short_way is not None else _short_way(plan)
        if not kind or _is_asynchronous(walk.page):
            return None, _NO_SEGMENTS
        if segments:
            path_info = path_info[: -len("/".join(segments)) - 1]
        route = Route(tree, app, walk, kind)
        prefix = script_name + path_info
        # SECURITY: what is mounted below /item is not an argument of the page /item
        if is_as_sent and not (segments and tree is not None and _has_mount_below(tree, prefix)):
            self._keep((prefix,) if segments else path, route)
        return route, tuple([segment.replace("%2F", "/") for segment in segments])

    def _keep(self, key: Any, route: Route) -> None:
        if len(self._known) >= _LIMIT:
            self._known.clear()
        self._known[key] = route


def _has_mount_below(tree: Any, path: str) -> bool:
    return any(mount.startswith(path + "/") for mount in tree.apps)


def is_plain(app: Any) -> bool:
    """True for an application that nothing stands around."""
    if app.__class__ is not Application and (
        not isinstance(app, Application) or type(app).__call__ is not Application.__call__
    ):
        return False
    wsgiapp = app.wsgiapp
    return (
        wsgiapp.__class__ is CPWSGIApp
        and wsgiapp.pipeline == CPWSGIApp.pipeline
        and wsgiapp.response_class is AppResponse
        and not wsgiapp.config
        and app._script_name is not None
    )


def _short_way(plan: Plan) -> str:
    """Return what pages of *plan* return if only tools of ``_KINDS`` are on, with their default arguments, else ''.

    The answer is remembered in the plan.
    """
    if not plan.is_compiled:
        return ""
    hooks = plan.points.get("before_handler", ())
    kind = _KINDS.get(tuple(hook.callback for hook in hooks), "")
    if (
        not plan.is_simple
        or not plan.points.keys() <= DEFAULT_POINTS
        or any(hook.kwargs for hook in hooks)
        or "GET" in plan.request_attributes.get("methods_with_bodies", ())
    ):
        kind = ""
    plan.short_way = kind
    return kind


def _is_asynchronous(page: Any) -> bool:
    return inspect.iscoroutinefunction(page) or inspect.isasyncgenfunction(page)
