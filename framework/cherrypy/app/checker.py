"""Looks over the configuration when the engine starts, and warns of what cannot be meant."""

from __future__ import annotations

import builtins
import difflib
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from cherrypy.app.application import Application
from cherrypy.conf import site
from cherrypy.toolbox.builtin import tools
from cherrypy.toolbox.tool import Toolbox


class Checker:
    """A callable that runs all its ``check_*`` methods; configuration namespace ``checker``.

    Attributes:
        on: False for no checks at all; ``checker.check_NAME = False`` turns one off.
        obsolete, deprecated: {old key: new key}.
        extra_config_namespaces: further namespaces that are none of the toolboxes'.
        known_config_types: {key: type} of the server's, engine's, ... settings.
        global_config_contained_paths: sections other than [global] were given to the site's configuration.
    """

    on = True
    global_config_contained_paths = False
    obsolete: dict[str, str | None] = {
        "server.default_content_type": "tools.response_headers.headers",
        "log_access_file": "log.access_file",
        "log_config_options": None,
        "log_file": "log.error_file",
        "log_file_not_found": None,
        "log_request_headers": "tools.log_headers.on",
        "log_to_screen": "log.screen",
        "show_tracebacks": "request.show_tracebacks",
        "throw_errors": "request.throw_errors",
        "profiler.on": "cherrypy.tree.mount(profiler.make_app(cherrypy.Application(Root())))",
    }
    deprecated: dict[str, str | None] = {}
    extra_config_namespaces: list[str] = []
    known_config_types: dict[str, type] = {}

    current_tree: ClassVar[Callable[[], Any]] = staticmethod(lambda: None)
    """Returns the site's tree (set once, by the wiring)."""
    settings: ClassVar[Mapping[str, Callable[[], Any]]] = {}
    """{namespace: function that returns the object which its keys set} (set once, by the wiring)."""

    def __init__(self) -> None:
        self.obsolete = dict(self.obsolete)
        self.deprecated = dict(self.deprecated)
        self.extra_config_namespaces = list(self.extra_config_namespaces)
        self.known_config_types = {}

    def __call__(self) -> None:
        """Run every check that is on."""
        if not self.on:
            return
        before = warnings.formatwarning
        warnings.formatwarning = self.formatwarning
        try:
            for name in sorted(dir(self)):
                if name.startswith("check_"):
                    check = getattr(self, name)
                    if callable(check):
                        check()
        finally:
            warnings.formatwarning = before

    def formatwarning(self, message: Any, category: Any, filename: str, lineno: int, line: str | None = None) -> str:
        """Show a warning without the place in this file, which says nothing."""
        return f"CherryPy Checker:\n{message}\n\n"

    def _apps(self) -> list[tuple[str, Application]]:
        mounted = getattr(type(self).current_tree(), "apps", {})
        return [(name, app) for name, app in mounted.items() if isinstance(app, Application)]

    def _sections(self) -> list[tuple[str, Application, str, Mapping[str, Any]]]:
        return [
            (script_name, app, section, settings)
            for script_name, app in self._apps()
            for section, settings in app.config.items()
            if isinstance(settings, Mapping)
        ]

    def check_app_config_entries_dont_start_with_script_name(self) -> None:
        """Warn of sections that repeat the mount point: paths begin at the application."""
        for script_name, app in self._apps():
            if not script_name:
                continue
            mount = script_name.strip("/").split("/")
            for section in app.config:
                if section.strip("/").split("/")[: len(mount)] == mount:
                    warnings.warn(
                        f"The application mounted at {script_name!r} has a section [{section}]: "
                        "paths of sections begin below the mount point.",
                        stacklevel=2,
                    )

    def check_site_config_entries_in_app_config(self) -> None:
        """Warn of settings of the site in an application."""
        for script_name, _, section, settings in self._sections():
            if not section.startswith("/"):
                continue
            wrong = sorted(key for key in settings if key.partition(".")[0] in ("server", "engine", "tree", "checker"))
            if wrong:
                warnings.warn(
                    f"The application mounted at {script_name!r} has settings of the whole site in its section "
                    f"[{section}]: {', '.join(wrong)}. Give them to cherrypy.config.update().",
                    stacklevel=2,
                )

    def check_skipped_app_config(self) -> None:
        """Warn of mounted applications without configuration while the site's had sections with paths."""
        if not self.global_config_contained_paths:
            return
        for script_name, app in self._apps():
            if not app.config:
                warnings.warn(
                    f"The application mounted at {script_name!r} has an empty configuration. The configuration given "
                    "to cherrypy.config.update() has sections with paths: they belong to tree.mount(..., config=...).",
                    stacklevel=2,
                )

    def check_app_config_brackets(self) -> None:
        """Warn of section names that still have their brackets."""
        for script_name, _, section, _ in self._sections():
            if section.startswith("[") or section.endswith("]"):
                warnings.warn(
                    f"The application mounted at {script_name!r} has a section named {section!r}: section names "
                    "have brackets in files only.",
                    stacklevel=2,
                )

    def check_static_paths(self) -> None:
        """Warn of static folders that are not there."""
        for _, app, section, settings in self._sections():
            if not settings.get("tools.staticdir.on", False):
                continue
            problem = _static_problem(app, section, settings)
            if problem:
                warnings.warn(
                    f"{problem}\nsection: [{section}]\nroot: {app.find_config(section, 'tools.staticdir.root', '')!r}\n"
                    f"dir: {settings.get('tools.staticdir.dir')!r}",
                    stacklevel=2,
                )

    def check_compatibility(self) -> None:
        """Warn of obsolete keys, which have no effect any more, and of deprecated ones."""
        self._compat(site.config)
        for _, app in self._apps():
            self._compat(app.config)

    def _compat(self, config: Mapping[str, Any]) -> None:
        for section, settings in config.items():
            entries = settings.items() if isinstance(settings, Mapping) else ((section, settings),)
            for key, _ in entries:
                for table, word in ((self.obsolete, "obsolete"), (self.deprecated, "deprecated")):
                    if key in table:
                        where = f" in section [{section}]" if isinstance(settings, Mapping) else ""
                        instead = f" Use {table[key]!r}." if table[key] else ""
                        warnings.warn(f"{key!r}{where} is {word}.{instead}", stacklevel=3)

    def check_config_namespaces(self) -> None:
        """Warn of keys whose namespace nobody reads, and of tools that do not exist."""
        for key in site.config:
            self._check_tool(key, "global")
        for _, app in self._apps():
            self._known_ns(app)

    def _known_ns(self, app: Application) -> None:
        known = {"wsgi", "log", "checker", *site.config.namespaces, *app.toolboxes, *self.extra_config_namespaces}
        known.update(app.namespaces, app.request_class.namespaces)
        for section, settings in app.config.items():
            if not section.startswith("/") or not isinstance(settings, Mapping):
                continue
            for key in settings:
                parts = key.split(".")
                if len(parts) < 2:
                    continue
                if parts[0] not in known:
                    warnings.warn(f"The namespace of {key!r} in section [{section}] is not known.", stacklevel=3)
                else:
                    self._check_tool(key, section)

    def _check_tool(self, key: str, section: str) -> None:
        box, _, name = key.partition(".")
        name = name.partition(".")[0]
        if box != "tools" or not name or hasattr(tools, name):
            return
        near = difflib.get_close_matches(name, [one for one in dir(tools) if not one.startswith("_")], n=1)
        hint = f" Did you mean tools.{near[0]}?" if near else ""
        warnings.warn(f"The tool of {key!r} in section [{section}] does not exist.{hint}", stacklevel=4)

    def check_tool_arguments(self) -> None:
        """Warn of arguments that their tools do not take, and of values that cannot work."""
        for problem in tools.problems(site.config):
            warnings.warn(f"{problem} It is set for the whole site.", stacklevel=2)
        for _, app, section, settings in self._sections():
            for toolbox in app.toolboxes.values():
                for problem in toolbox.problems(settings) if isinstance(toolbox, Toolbox) else ():
                    warnings.warn(f"{problem} It is set in section [{section}].", stacklevel=2)

    def check_config_types(self) -> None:
        """Warn of settings whose type is another than that of their default."""
        self._populate_known_types()
        self._known_types(site.config)
        for _, app in self._apps():
            self._known_types(app.config)

    def _populate_known_types(self) -> None:
        plain = {kind for kind in vars(builtins).values() if isinstance(kind, type)}
        for namespace, current in self.settings.items():
            target = current()
            for name in dir(type(target)):
                if name.startswith("_") or isinstance(getattr(type(target), name), property):
                    continue
                kind = type(getattr(target, name, None))
                if kind in plain and kind is not type(None):
                    self.known_config_types[f"{namespace}.{name}"] = kind

    def _known_types(self, config: Mapping[str, Any]) -> None:
        for section, settings in config.items():
            entries = settings.items() if isinstance(settings, Mapping) else ((section, settings),)
            for key, value in entries:
                expected = self.known_config_types.get(key)
                if expected is None or value is None or isinstance(value, expected):
                    continue
                if expected in (int, float) and isinstance(value, int | float):
                    continue
                warnings.warn(
                    f"{key!r} is {value!r}, of type {type(value).__name__}; {expected.__name__} is expected.",
                    stacklevel=3,
                )

    def check_localhost(self) -> None:
        """Warn of 'localhost' as address to listen on: it is IPv4 for some clients and IPv6 for others."""
        for key, value in site.config.items():
            if key == "server.socket_host" and value == "localhost":
                warnings.warn(
                    "'localhost' as socket host can lead to connection problems: clients may try ::1 first, or only. "
                    "Use '127.0.0.1' or '::1'.",
                    stacklevel=2,
                )


def _static_problem(app: Application, section: str, settings: Mapping[str, Any]) -> str | None:
    root = app.find_config(section, "tools.staticdir.root", "")
    folder = settings.get("tools.staticdir.dir")
    if not folder:
        return "tools.staticdir.dir is not set."
    if os.path.isabs(folder):
        path = folder
    elif not root:
        return "tools.staticdir.dir is relative, and there is no tools.staticdir.root."
    else:
        path = os.path.join(root, folder)
        if not os.path.isabs(path):
            return "tools.staticdir.root is not an absolute path."
    if not os.path.exists(os.path.expanduser(path)):
        return f"The folder {path!r} does not exist."
    return None
