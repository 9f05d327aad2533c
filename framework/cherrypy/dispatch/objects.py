"""From a path to a page by walking through objects: ``/blog/entry/7`` is ``root.blog.entry('7')``.

For each segment the attribute of that name is taken, punctuation read as underscores. The deepest object of the walk
that is exposed, or has an exposed ``default``, is the page; the segments below it are its positional arguments. Names
of Python's own (``__class__``) are never taken. An object with a ``_cp_dispatch`` may choose, or make, the object that
goes on. What is configured for ``/my_page`` holds for ``/my-page`` as well.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from cherrypy.conf import site
from cherrypy.context import serving
from cherrypy.core.errors import CherryPyException, NotFound
from cherrypy.core.plan import Plan, Snapshot
from cherrypy.dispatch.handlers import LateParamPageHandler
from cherrypy.dispatch.memory import LIMIT, Walk, find, prefix_worth_keeping, worth_keeping

punctuation_to_underscores = dict.fromkeys(map(ord, string.punctuation), ord("_"))
_SECTION_KEY = "tools.staticdir.dir"

# One step of a walk: (object, segments left after it, its _cp_config or None, paths of sections that begin here)
Step = tuple[Any, int, Any, tuple[str, ...]]


_ROOT = ("/",)


def validate_translator(t: Any) -> None:
    """Refuse what is no translation table.

    Raises:
        ValueError: *t* is not a dict.
    """
    if not isinstance(t, dict):
        raise ValueError(f"The translate argument must be a dict, not {type(t).__name__}.")


class Dispatcher:
    """The default dispatcher: a walk from the application's root.

    Args:
        dispatch_method_name: what ``_cp_dispatch`` is called.
        translate: a table for ``str.translate``, applied to each segment.
    """

    dispatch_method_name = "_cp_dispatch"

    def __init__(
        self, dispatch_method_name: str | None = None, translate: dict[int, Any] = punctuation_to_underscores
    ) -> None:
        validate_translator(translate)
        self.translate = translate
        if dispatch_method_name:
            self.dispatch_method_name = dispatch_method_name
        # An identifier has no punctuation to translate: _ becomes _.
        self._skips_identifiers = translate is punctuation_to_underscores

    def __call__(self, path_info: str) -> None:
        """Set ``request.handler``, ``config`` and ``is_index`` for *path_info*."""
        request = serving.request
        page, rest = self.find_handler(path_info)
        if page:
            if rest:
                rest = [segment.replace("%2F", "/") for segment in rest]
            request.handler = LateParamPageHandler(page, *rest)
        else:
            request.handler = NotFound()

    def find_handler(self, path: str) -> tuple[Any, list[str]]:
        """Return the page for *path* (None if there is none) and the segments that are its arguments."""
        request = serving.request
        app = request.app
        walks = app.plans.walks_of(self)
        known, arguments = find(walks, path, self)
        if known is not None:
            page = known.still_leads_to(app.root)
            if page is not None:
                request._plan = known.plan
                request._config = None
                request.is_index = known.is_index
                return page, arguments
        names = [name for name in path.split("/") if name]
        names.append("index")
        trail = self._walk(app, names)
        deepest = position = len(trail) - 1
        total = len(names)
        while position >= 0:
            candidate, left, _, _ = trail[position]
            if candidate is not None:
                default = getattr(candidate, "default", None)
                if default is not None and getattr(default, "exposed", False):
                    conf = getattr(default, "_cp_config", None)
                    prefix = self._prefix(app, trail, position, True, path)
                    trail.insert(position + 1, (default, left, conf, ()))
                    _use_config(request, trail, names)
                    request.is_index = path.endswith("/")
                    if prefix is not None:
                        taken = [*names[:position], "default"]
                        self._remember(walks, (prefix,), trail[: position + 2], taken, request, is_default=True)
                    return default, names[total - left : -1]
                if getattr(candidate, "exposed", False):
                    _use_config(request, trail, names)
                    # "index" itself was found: the slash at the end is part of the address
                    request.is_index = position == deepest
                    if len(trail) == total + 1 and worth_keeping(trail, position, left):
                        self._remember(walks, path, trail, names, request, position)
                    else:
                        prefix = self._prefix(app, trail, position, False, path)
                        if prefix is not None:
                            self._remember(walks, (prefix,), trail[: position + 1], names[:position], request, position)
                    return candidate, names[total - left : -1]
            position -= 1
        _use_config(request, trail, names)
        return None, []

    def plan_of(self, app: Any, path: str) -> Plan:
        """Return the plan for what is at *path* of *app*, or would be."""
        names = [*(name for name in path.split("/") if name), "index"]
        asker = SimpleNamespace(app=app)
        _use_config(asker, self._walk(app, names), names)
        plan: Plan = asker._plan
        return plan

    def _prefix(self, app: Any, trail: list[Step], position: int, is_default: bool, path: str) -> str | None:
        """Return the part of *path* under which its walk may be remembered although the page takes the rest."""
        node = trail[position][0]
        if len(trail) != trail[0][1] + 1 or getattr(node, self.dispatch_method_name, None) is not None:
            return None  # a dispatch method has, or may have, its say
        prefix = prefix_worth_keeping(trail, position, is_default, path, app.plans.sections)
        if prefix is not None:
            reached = "/".join(map(self._attribute, prefix.split("/"))) + "/"
            if any(section.startswith(reached) for section in app.plans.sections):
                return None
        return prefix

    def _remember(
        self,
        walks: dict[Any, Walk],
        key: Any,
        trail: list[Step],
        names: list[str],
        request: Any,
        position: int = -1,
        *,
        is_default: bool = False,
    ) -> None:
        """Remember the walk *trail*, one of *names* at each step; its page is at *position*."""
        if len(walks) >= LIMIT:
            walks.clear()
        steps = tuple((self._attribute(name), step[0], step[2]) for name, step in zip(names, trail[1:], strict=True))
        root, _, root_conf, _ = trail[0]
        page = trail[position][0]
        walks[key] = Walk(root, root_conf, steps, page, request._plan, request.is_index, is_default)

    def _attribute(self, name: str) -> str:
        """Return the name of the attribute that a segment stands for."""
        return name if self._skips_identifiers and name.isidentifier() else name.translate(self.translate)

    def _walk(self, app: Any, names: list[str]) -> list[Step]:
        """Return the steps from the root; the last is for 'index'."""
        plans = app.plans
        sections = plans.sections
        node = app.root
        total = len(names)
        trail: list[Step] = [(node, total, getattr(node, "_cp_config", None), _ROOT if plans.has_root else ())]
        done = 0
        sent = ""  # the path so far
        reached = ""  # the same as the attributes on it are called
        longest = max(map(len, sections), default=0)
        while done < total:
            before = done
            child = None
            is_attribute = False
            if node is not None:  # PERF: below nothing is nothing (static files: 2 us a segment)
                name = self._attribute(names[done])
                child = None if _is_special(name) else getattr(node, name, None)
                is_attribute = child is not None
                if child is None:
                    child, done = self._ask(node, names, done)
            if done == before:
                done += 1
            node = child
            here: tuple[str, ...] = ()
            if len(sent) < longest or len(reached) < longest:  # PERF: a path of 8,000 segments took 0.4 s
                prefixes = []
                for segment in names[before:done]:
                    sent = f"{sent}/{segment}"
                    prefixes.append(sent)
                reached = "/".join((reached, name)) if is_attribute else "/".join((reached, *names[before:done]))
                if reached != sent:
                    # SECURITY: /my-page is /my_page, and as well protected
                    prefixes.insert(0, reached)
                here = tuple(prefix for prefix in prefixes if prefix in sections)
            trail.append((node, total - done, None if node is None else getattr(node, "_cp_config", None), here))
        return trail

    def _ask(self, node: Any, names: list[str], done: int) -> tuple[Any, int]:
        """Let the dispatch method of *node*, if it has one, choose; it may take segments off its vpath.

        Returns:
            The object that goes on, and how many segments are done then.

        Raises:
            CherryPyException: the method added a segment.
        """
        method: Callable[..., Any] | None = getattr(node, self.dispatch_method_name, None)
        # the last name, 'index', is ours and not a segment of the path
        remaining = names[done:-1]
        if not remaining or method is None or not callable(method) or getattr(method, "exposed", False):
            return None, done
        before = len(remaining)
        child = method(vpath=remaining)
        taken = before - len(remaining)
        if taken < 0:
            raise CherryPyException(
                f"A vpath segment was added: {names[done:-1]!r} became {remaining!r}. "
                "A dispatch method may only remove segments."
            )
        # COMPAT: a method may rewrite the segments that it leaves
        names[done + taken : -1] = remaining
        return child, done + taken


def _is_special(name: str) -> bool:
    """True for a name that is Python's own.

    SECURITY: /page/__self__/admin and /__class__/admin would be /admin without what is configured for it.
    """
    return len(name) > 4 and name[:2] == "__" == name[-2:]


def _use_config(request: Any, trail: list[Step], names: list[str]) -> None:
    """Let *request* have the plan for the configuration along *trail*."""
    app = request.app
    key: list[Any] = []
    for _, left, conf, paths in trail:
        if conf:
            key.append(id(conf))
            if _SECTION_KEY in conf:
                key.append((left, *names))
        if paths:
            key.extend(paths)
    plans = app.plans
    found = tuple(key)
    table = plans.plans
    plan = table.get(found)
    if plan is None or (plan.snapshots and not plan.is_current()):
        plan = _merge(request, trail, names)
        plans.put(table, found, plan)
    request._plan = plan
    request._config = None


def _merge(request: Any, trail: list[Step], names: list[str]) -> Plan:
    """Merge site, sections and ``_cp_config`` into a new plan."""
    app = request.app
    merged: dict[str, Any] = dict(site.config)
    snapshots: list[Snapshot] = []
    total = len(names)
    for _, left, conf, paths in trail:
        at_step: dict[str, Any] = dict(conf or {})
        for path in paths:
            at_step.update(app.config[path])
        merged.update(at_step)
        if _SECTION_KEY in at_step:
            merged["tools.staticdir.section"] = "/" + "/".join(names[: total - left])
        if conf:
            snapshots.append((conf, dict(conf)))
    return Plan(merged, snapshots)
