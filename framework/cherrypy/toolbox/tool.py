"""Tools: callbacks that configuration attaches to the hook points of a request.

Law: ``_setup`` of the classes here only attaches hooks, so it is compiled into the plan (``_attach``). A subclass with
a ``_setup`` of its own runs for every request.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from cherrypy.aio.pages import wrapped
from cherrypy.context import serving
from cherrypy.core.errors import NotFound
from cherrypy.core.later import waiting
from cherrypy.core.logs import log
from cherrypy.core.plan import Plan, epoch
from cherrypy.toolbox.arguments import find_error, nearest, odd_arguments

Page = TypeVar("Page", bound=Callable[..., Any])

_attr_error = "A tool cannot be turned on directly: turn it on in the configuration, or decorate a page with it."

# Changing one of these changes what a plan was made from.
_COMPILED = frozenset(
    ("callable", "namespace", "_point", "_name", "_priority", "_setup", "_merged_args", "_attach", "_hook_in")
)


def _getargs(func: Any) -> list[str]:
    """Return the names of the positional parameters of a function, method or callable object."""
    try:
        names = inspect.getfullargspec(func).args
    except TypeError:
        try:
            names = inspect.getfullargspec(func.__call__).args
        except (TypeError, AttributeError):
            return []
    return [name for name in names if name != "self"]


def compiles(setup: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``_setup`` that does nothing but ``_attach``."""
    setup.attaches = True  # type: ignore[attr-defined]
    return setup


def passing_arguments_on(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``_wrapper`` that calls the tool's callable with the configured arguments, and no others."""
    wrapper.passes_arguments_on = True  # type: ignore[attr-defined]
    return wrapper


class Tool:
    """A callback for one hook point.

    Args:
        point: name of the hook point.
        callable: called with the tool's configuration as keyword arguments.
        name: given by the toolbox if None.
        priority: default priority of the hook; the callable's own ``priority`` wins.

    A tool is also a decorator: ``@cherrypy.tools.gzip(compress_level=9)`` turns it on for a page or a class.
    """

    namespace = "tools"
    _name: str | None
    _point: Any

    def __init__(self, point: Any, callable: Any, name: str | None = None, priority: int = 50) -> None:
        self._point = point
        self.callable = callable
        self._name = name
        self._priority = priority
        self.__doc__ = getattr(callable, "__doc__", None)
        self._setargs()

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in _COMPILED:
            epoch.bump()

    @property
    def on(self) -> bool:
        """Not to be used: a tool is on or off for a page, not in itself."""
        raise AttributeError(_attr_error)

    @on.setter
    def on(self, value: bool) -> None:
        raise AttributeError(_attr_error)

    def _setargs(self) -> None:
        """Show the callable's parameters as attributes, for editors and help()."""
        for name in _getargs(self.callable):
            if not hasattr(type(self), name) and name not in self.__dict__:
                setattr(self, name, None)

    def _merged_args(self, d: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the tool's arguments for the current request, over those in *d*."""
        conf = dict(d or {})
        conf.update(serving.request.toolmaps[self.namespace].get(self._name, {}))
        conf.pop("on", None)
        return conf

    def __call__(self, *args: Any, **kwargs: Any) -> Callable[[Page], Page]:
        """Return a decorator that turns this tool on, with *kwargs* as its configuration.

        Raises:
            TypeError: positional arguments were given.
        """
        if args:
            raise TypeError(f"The {self._name!r} Tool does not accept positional arguments; use keyword arguments.")
        prefix = f"{self.namespace}.{self._name}."

        def tool_decorator(page: Any) -> Any:
            if "_cp_config" not in vars(page):
                # a class must not write into the configuration of its base
                page._cp_config = dict(getattr(page, "_cp_config", None) or {})
            page._cp_config[f"{prefix}on"] = True
            for name, value in kwargs.items():
                page._cp_config[prefix + name] = value
            return page

        return tool_decorator

    @compiles
    def _setup(self) -> None:
        """Hook this tool into the current request."""
        self._hook_in(serving.request, self._merged_args())

    def _hook_in(self, target: Any, conf: dict[str, Any]) -> None:
        """Attach hooks to *target* if *conf* can work, else one that says why it cannot."""
        prefix = f"{self.namespace}.{self._name}."
        if self._point is not None and self._point not in target.hooks:
            points = ", ".join(target.hooks)
            raise ValueError(f"{prefix[:-1]}: there is no hook point {self._point!r}; there are {points}.")
        error = find_error(self.callable, prefix, conf) if self._passes_arguments_on() else None
        if error is not None:
            self._attach_refusal(target, lambda: error.raise_for(self.callable, conf))
            return
        for sentence in odd_arguments(self.callable, prefix, conf):
            # COMPAT: they have always been taken in silence
            _warn_once(sentence)
        self._attach(target, conf)

    def _passes_arguments_on(self) -> bool:
        """True unless a subclass has a ``_wrapper`` of its own, which may add or take arguments."""
        wrapper = getattr(type(self), "_wrapper", None)
        return wrapper is None or getattr(wrapper, "passes_arguments_on", False)

    def _attach_refusal(self, target: Any, refuse: Callable[[], None]) -> None:
        # COMPAT: raised where the tool would have run, not earlier: a tool for errors must not break good pages
        target.hooks.attach(self._point, refuse, priority=self._pop_priority({}))

    def _attach(self, target: Any, conf: dict[str, Any]) -> None:
        """Attach hooks to *target*, a request or a plan; *conf* is the tool's configuration."""
        target.hooks.attach(self._point, self.callable, priority=self._pop_priority(conf), **conf)

    def _pop_priority(self, conf: dict[str, Any]) -> int:
        priority = conf.pop("priority", None)
        if priority is None:
            priority = getattr(self.callable, "priority", self._priority)
        return priority  # type: ignore[no-any-return]


class HandlerTool(Tool):
    """A tool that may answer in place of the page: its callable returns True if it did."""

    def __init__(self, callable: Any, name: str | None = None) -> None:
        Tool.__init__(self, "before_handler", callable, name)

    def handler(self, *args: Any, **kwargs: Any) -> Any:
        """Return this tool as a page: ``page = tools.staticdir.handler(section='/', dir='x')``."""

        def handle_func(*a: Any, **kw: Any) -> Any:
            handled = self.callable(*args, **self._merged_args(kwargs))
            if not handled:
                raise NotFound()
            return serving.response.body

        handle_func.exposed = True  # type: ignore[attr-defined]
        return handle_func

    @passing_arguments_on
    def _wrapper(self, **kwargs: Any) -> None:
        if waiting(self.callable)(**kwargs):
            serving.request.handler = None

    def _attach(self, target: Any, conf: dict[str, Any]) -> None:
        target.hooks.attach(self._point, self._wrapper, priority=self._pop_priority(conf), **conf)


class HandlerWrapperTool(Tool):
    """A tool that wraps the page: ``newhandler(next_handler, *args, **kwargs)``."""

    def __init__(
        self, newhandler: Any, point: str = "before_handler", name: str | None = None, priority: int = 50
    ) -> None:
        self.newhandler = newhandler
        self._point = point
        self._name = name
        self._priority = priority

    def callable(self, *args: Any, **kwargs: Any) -> None:
        """Put the wrapper around the request's handler."""
        request = serving.request
        inner = request.handler
        if inspect.iscoroutinefunction(self.newhandler):
            request.handler = wrapped(self.newhandler, inner)
            return

        def wrap(*args: Any, **kwargs: Any) -> Any:
            return self.newhandler(inner, *args, **kwargs)

        request.handler = wrap


class ErrorTool(Tool):
    """A tool that replaces ``request.error_response``."""

    def __init__(self, callable: Any, name: str | None = None) -> None:
        Tool.__init__(self, None, callable, name)

    @passing_arguments_on
    def _wrapper(self) -> None:
        conf = self._merged_args()
        conf.pop("priority", None)
        self.callable(**conf)

    def _attach(self, target: Any, conf: dict[str, Any]) -> None:
        self._respond_with(target, self._wrapper)

    def _attach_refusal(self, target: Any, refuse: Callable[[], None]) -> None:
        self._respond_with(target, refuse)

    def _respond_with(self, target: Any, error_response: Callable[[], None]) -> None:
        if isinstance(target, Plan):
            target.request_attributes["error_response"] = error_response
        else:
            target.error_response = error_response


class Toolbox:
    """A set of tools, and the handler of the configuration namespace *namespace*."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def __getattr__(self, name: str) -> Tool:
        if name.startswith("__"):
            # copy and pickle ask for these, also before there is a namespace
            raise AttributeError(name)
        tools = [name for name, one in vars(self).items() if hasattr(one, "_setup")]
        raise AttributeError(f"The toolbox {self.namespace!r} has no tool {name!r}.{nearest(name, tools)}")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tool):
            if value._name is None:
                value._name = name
            value.namespace = self.namespace
        object.__setattr__(self, name, value)
        epoch.bump()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        epoch.bump()

    def __enter__(self) -> Callable[[str, Any], None]:
        """Begin to take the configuration of the current request."""
        toolmap: dict[str, dict[str, Any]] = {}
        serving.request.toolmaps[self.namespace] = toolmap

        def populate(k: str, v: Any) -> None:
            _put(toolmap, k, v)

        return populate

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        """Hook in every tool that is on."""
        for name, settings in serving.request.toolmaps.get(self.namespace, {}).items():
            if settings.get("on", False):
                getattr(self, name)._setup()

    def problems(self, config: Mapping[str, Any]) -> list[str]:
        """Return a sentence for each argument in *config*, a section, that its tool does not take or that cannot work.

        What is missing may stand in another section, and is no problem here.
        """
        toolmap: dict[str, dict[str, Any]] = {}
        for key, value in config.items():
            namespace, _, rest = str(key).partition(".")
            if namespace == self.namespace and "." in rest:
                _put(toolmap, rest, value)
        sentences = []
        for name, conf in toolmap.items():
            tool: Any = vars(self).get(name)
            # what a _setup or _wrapper of a subclass makes of its arguments is its own affair
            if _is_compilable(tool) and tool._passes_arguments_on():
                prefix = f"{self.namespace}.{name}."
                error = find_error(tool.callable, prefix, conf, whole=False)
                sentences += [str(error)] if error else odd_arguments(tool.callable, prefix, conf)
        return sentences

    def register(self, point: str, **kwargs: Any) -> Callable[[Page], Page]:
        """Return a decorator that makes a function a tool of this box.

        >>> @cherrypy.tools.register('before_finalize', priority=60)
        ... def hello(): ...
        """

        def decorator(func: Any) -> Any:
            setattr(self, kwargs.get("name", func.__name__), Tool(point, func, **kwargs))
            return func

        return decorator

    def compile_keys(self, plan: Plan, keys: list[tuple[str, Any]]) -> bool:
        """Write the tools that *keys* turn on into *plan*; False if a subclass does it in its own way."""
        kind = type(self)
        if kind.__enter__ is not Toolbox.__enter__ or kind.__exit__ is not Toolbox.__exit__:
            return False
        toolmap: dict[str, dict[str, Any]] = {}
        for key, value in keys:
            _put(toolmap, key, value)
        plan.toolmaps[self.namespace] = toolmap
        for name, settings in toolmap.items():
            if not settings.get("on", False):
                continue
            tool = getattr(self, name)
            # behind a tool that has to be asked each time the others are, too: hooks of one priority run in their order
            if not plan.setups and _is_compilable(tool):
                tool._hook_in(plan, {key: value for key, value in settings.items() if key != "on"})
            else:
                plan.setups.append(tool._setup)
        return True


@lru_cache(maxsize=256)
def _warn_once(sentence: str) -> None:
    """Write *sentence* to the log, not again for every page that has the same configuration."""
    log(sentence, "TOOLS", severity=logging.WARNING)


def _put(toolmap: dict[str, dict[str, Any]], key: str, value: Any) -> None:
    toolname, _, argument = key.partition(".")
    if not argument:
        raise ValueError(f"A tool's configuration key needs an argument: '{key}.on', not '{key}'.")
    toolmap.setdefault(toolname, {})[argument] = value


def _is_compilable(tool: Any) -> bool:
    """True if the tool's ``_setup`` only attaches hooks with the arguments of its configuration."""
    if not isinstance(tool, Tool):
        return False
    setup = getattr(tool._setup, "__func__", None)
    return getattr(setup, "attaches", False) and getattr(tool._merged_args, "__func__", None) is Tool._merged_args
