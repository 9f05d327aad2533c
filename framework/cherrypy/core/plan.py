"""Everything about a request that its configuration decides, computed once.

A plan belongs to one application and one chain of configuration (site, application sections, ``_cp_config`` of the
objects on the way to the handler). Compiling it applies the namespaces: hooks in order, tools bound to their arguments,
attributes of request and response. A request then only copies what it changes.

Law: a plan is used only while everything it was made from is unchanged (``Plan.is_current``). What cannot be compiled
(an application's own namespaces, tools with a ``_setup`` of their own) runs anew for each request.
"""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, Self

from cherrypy.conf import site
from cherrypy.conf.epoch import Epoch, changes
from cherrypy.conf.ini import NamespaceSet
from cherrypy.core.hooks import Hook, HookMap, hookpoints

Snapshot = tuple[Mapping[str, Any], dict[str, Any]]
Keys = list[tuple[str, Any]]
KeyCompiler = Callable[["Plan", str, Any], None]


#: Rises when a tool, a toolbox or a request class is changed: older plans are then dropped.
epoch = Epoch(changes)


class Watched(abc.ABCMeta):
    """The class of ``Request``: assigning to it, or to a subclass, drops the plans that were made from what it had.

    It is an ABCMeta so that applications may mix abstract classes with theirs.
    """

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        epoch.bump()

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        epoch.bump()


class _SharedList(list[Hook]):
    """Hooks of one point, shared by all requests of a class: a change drops the plans."""

    def append(self, hook: Hook) -> None:
        super().append(hook)
        epoch.bump()

    def remove(self, hook: Hook) -> None:
        super().remove(hook)
        epoch.bump()


class SharedHooks(HookMap):
    """The hooks that every request of a class has, before those of its configuration.

    COMPAT: plugins attach theirs at start-up, outside of any request: ``cherrypy.request.hooks.attach(...)``.
    """

    def __new__(cls, points: Iterable[str] | None = None) -> Self:
        """Make a map with an empty list for each of *points*."""
        new = super().__new__(cls)
        for point in points or ():
            new[point] = _SharedList()
        return new

    def copy(self) -> HookMap:  # type: ignore[override]
        """Return a map for one request, or one plan, to change."""
        new = HookMap()
        for point, hooks in self.items():
            new[point] = list(hooks)
        return new


_compiling = threading.RLock()

# How a namespace's keys are compiled: {handler function: function(plan, key, value)}. Handlers that are not here and
# have no ``compile_keys`` method are called for every request.
compilers: dict[FunctionType, KeyCompiler] = {}


class Plan:
    """What the requests of one configuration have in common.

    Attributes:
        config: the merged configuration; never changed, requests that touch theirs get a copy.
        hooks: the hooks by point, in order of attachment; ``points`` has them sorted.
        toolmaps: {toolbox: {tool: {argument: value}}}.
        request_attributes, response_attributes: what the namespaces set.
        body_attributes, response_headers, error_page: likewise.
        is_simple: compiled, and nothing to do for a request but ``request_attributes`` and hooks.
        short_way: what ``app.plainpage`` makes of the plan; None until it has looked.
        setups: callables to run for each request (tools with their own ``_setup``).
        deferred: namespaces to apply for each request, with their keys.
    """

    __slots__ = (
        "body_attributes",
        "config",
        "deferred",
        "error_page",
        "hooks",
        "is_compiled",
        "is_dynamic",
        "is_simple",
        "parent",
        "points",
        "request_attributes",
        "response_attributes",
        "response_headers",
        "setups",
        "short_way",
        "snapshots",
        "toolmaps",
    )

    points: dict[str, tuple[Hook, ...]]

    def __init__(self, config: dict[str, Any], snapshots: Iterable[Snapshot] = (), parent: Plan | None = None) -> None:
        self.config = config
        self.snapshots = tuple(snapshots)
        # keeps the plan alive whose identity is in the key of this one
        self.parent = parent
        self.hooks = HookMap(hookpoints)
        self.points = {}
        self.toolmaps: dict[str, dict[str, dict[str, Any]]] = {}
        self.request_attributes: dict[str, Any] = {}
        self.response_attributes: dict[str, Any] = {}
        self.body_attributes: dict[str, Any] = {}
        self.response_headers: dict[str, Any] = {}
        self.error_page: dict[int | str, Any] = {}
        self.setups: list[Callable[[], Any]] = []
        self.deferred: list[tuple[NamespaceSet, dict[str, Any]]] = []
        self.is_compiled = self.is_dynamic = self.is_simple = False
        self.short_way: str | None = None

    def is_current(self) -> bool:
        """True while the ``_cp_config`` dicts that this plan was made from are as they were."""
        for conf, snapshot in self.snapshots:  # noqa: SIM110 (PERF: all() makes a generator)
            if conf != snapshot:
                return False
        return True

    def compile(self, request: Any, response: Any) -> None:
        """Apply the namespaces of *request* to this plan, once.

        SECURITY: a plan is used only when it is complete; a second thread waits. Half of the hooks could be those
        without the authentication. After an error the next request begins anew.
        """
        with _compiling:
            if self.is_compiled:
                return
            self.__init__(self.config, self.snapshots, self.parent)  # type: ignore[misc]
            self.hooks = type(request).hooks.copy()
            self._apply_namespaces(request)
            self.points = {point: tuple(sorted(hooks)) for point, hooks in self.hooks.items() if hooks}
            self.is_dynamic = bool(self.deferred or self.setups)
            self.is_compiled = True
            self.is_simple = not (
                self.is_dynamic or self.response_attributes or self.response_headers or self.body_attributes
            )

    def _apply_namespaces(self, request: Any) -> None:
        buckets: dict[str, Keys] = {}
        for key, value in self.config.items():
            namespace, dot, name = key.partition(".")
            if dot:
                buckets.setdefault(namespace, []).append((name, value))
        for namespace, handler in request.namespaces.items():
            self._compile_namespace(namespace, handler, buckets.get(namespace, []))

    def _compile_namespace(self, namespace: str, handler: Any, keys: Keys) -> None:
        compile_key: KeyCompiler | None = compilers.get(handler) if isinstance(handler, FunctionType) else None
        if compile_key is not None:
            for name, value in keys:
                compile_key(self, name, value)
            return
        # of its class: an application's handler may answer every name by itself
        compile_keys = getattr(type(handler), "compile_keys", None)
        if compile_keys is not None and compile_keys(handler, self, keys):
            return
        if keys or getattr(handler, "__exit__", None) is not None:
            settings = {f"{namespace}.{name}": value for name, value in keys}
            self.deferred.append((NamespaceSet({namespace: handler}), settings))


def set_all(owner: Any, attributes: dict[str, Any]) -> None:
    """Give *owner* the *attributes*."""
    for name, value in attributes.items():
        setattr(owner, name, value)


def config_of(request: Any) -> dict[str, Any]:
    """Return the merged configuration of *request* to read, without making it a copy of its own."""
    own: dict[str, Any] | None = request._config
    return own if own is not None else request._plan.config


NO_PLAN = Plan({})


class PlanCache:
    """The plans of one application, by the chain of configuration that they were made from.

    All of them are forgotten when the site's or the application's configuration, a toolbox, a tool or a namespace
    changes; a single one when a ``_cp_config`` does.

    Attributes:
        plans: {chain: plan}; a plan with snapshots is good while it ``is_current``.
        sections: the application's sections that are paths, '/' apart; ``has_root`` tells of that one.
        has_dispatch: some section chooses a dispatcher.
    """

    limit = 1024

    def __init__(self) -> None:
        self.plans: dict[tuple[Any, ...], Plan] = {}
        self._loose: list[Plan] = []
        self._walks: dict[Any, dict[str, Any]] = {}
        self._config: Any = None
        self._version = self._site_version = self._epoch = -1
        self._request_class: Any = None
        self._toolboxes: dict[str, Any] = {}
        self._namespaces: tuple[Any, Any] = (None, None)
        self.has_root = False
        self.has_dispatch = False
        self.sections: frozenset[str] = frozenset()

    def refresh(self, request_class: Any, app: Any) -> None:
        """Forget everything if something that all plans were made from has changed."""
        config = app._config
        if (
            config is self._config
            and config.version == self._version
            and site.config.version == self._site_version
            and epoch.value == self._epoch
            and request_class is self._request_class
            and app.toolboxes == self._toolboxes
            and self._namespaces[0] == self._namespaces[1]
        ):
            return
        self.plans = {}
        self._loose = []
        self._walks = {}
        self._config, self._version = config, config.version
        self._site_version, self._epoch = site.config.version, epoch.value
        self._request_class = request_class
        self._toolboxes = dict(app.toolboxes)
        # the framework's own set bumps the epoch; an application's has to be compared
        own = request_class.namespaces
        self._namespaces = (None, None) if getattr(own, "is_counted", False) else (own, dict(own))
        self.has_root = "/" in config
        self.sections = frozenset(path for path in config if path.startswith("/") and path != "/")
        self.has_dispatch = any("request.dispatch" in section for section in config.values() if hasattr(section, "get"))

    def walks_of(self, dispatcher: Any) -> dict[str, Any]:
        """Return the memory of *dispatcher* for this application: {path: whatever it keeps}; lost with the plans."""
        try:
            return self._walks[dispatcher]
        except KeyError:
            return self._walks.setdefault(dispatcher, {})

    def put(self, table: dict[tuple[Any, ...], Plan], key: tuple[Any, ...], plan: Plan) -> None:
        """Keep *plan* in *table*, which was ``plans`` before the plan's configuration was read.

        So a plan of an older configuration lands in a table that is forgotten already. The plan's snapshots keep the
        dicts alive whose identities are in *key*.
        """
        if len(table) >= self.limit:
            # objects with a new _cp_config for every request would fill it for ever
            table.clear()
        table[key] = plan

    def extend(self, request: Any, conf: dict[str, Any]) -> None:
        """Let *request* have its present plan with the ``_cp_config`` *conf* on top."""
        table = self.plans
        parent = request._plan
        if parent is NO_PLAN or request._config is not None:
            request.config = {**config_of(request), **conf}
            return
        key = (id(parent), id(conf))
        plan = table.get(key)
        if plan is None or not plan.is_current():
            plan = Plan({**parent.config, **conf}, [*parent.snapshots, (conf, dict(conf))], parent)
            self.put(table, key, plan)
        request._plan = plan

    def for_config(self, config: dict[str, Any]) -> Plan:
        """Return a plan for a configuration that a foreign dispatcher made: found by its content."""
        for plan in self._loose:
            if plan.config == config:
                return plan
        plan = Plan(dict(config))
        self._loose.insert(0, plan)
        del self._loose[8:]
        return plan
