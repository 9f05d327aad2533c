"""The configuration of the site and of its applications, with a version number that every change raises.

Whatever was computed from a configuration remembers its ``version`` and is dropped when the number has moved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cherrypy.conf import ini
from cherrypy.conf.epoch import changes

Target = TypeVar("Target")

_STAGING: dict[str, Any] = {
    "engine.autoreload.on": False,
    "checker.on": False,
    "tools.log_headers.on": False,
    "request.show_tracebacks": False,
    "request.show_mismatched_params": False,
}
_PRODUCTION: dict[str, Any] = {**_STAGING, "log.screen": False}

environments: dict[str, dict[str, Any]] = {
    "staging": _STAGING,
    "production": _PRODUCTION,
    # For use inside another server: the signals are not ours.
    "embedded": {**_PRODUCTION, "engine.SIGHUP": None, "engine.SIGTERM": None},
    "test_suite": {
        "engine.autoreload.on": False,
        "checker.on": False,
        "tools.log_headers.on": False,
        "request.show_tracebacks": True,
        "request.show_mismatched_params": True,
        "log.screen": False,
    },
}


class Versioned(dict[str, Any]):
    """A dict that counts its mutations.

    Attributes:
        version: raised by every mutation, also by one that changes nothing.
    """

    version = 0

    def changed(self) -> None:
        """Called after every mutation."""
        self.version += 1
        changes.bump()

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self.changed()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self.changed()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take in another mapping, or pairs."""
        super().update(*args, **kwargs)
        self.changed()

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of *key*, set to *default* if it has none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, *args: Any) -> Any:
        """Remove a key; returns its value."""
        value = super().pop(*args)
        self.changed()
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last key; returns it with its value."""
        item = super().popitem()
        self.changed()
        return item

    def clear(self) -> None:
        """Remove everything."""
        super().clear()
        self.changed()


class _Vars:
    """The names of an object's own ``__dict__``: a ``_cp_config`` that a base class has is not its own."""

    def __init__(self, target: object) -> None:
        self.target = target

    def setdefault(self, key: str, default: Any) -> Any:
        if key not in vars(self.target):
            setattr(self.target, key, default)
        return vars(self.target)[key]


class Config(Versioned, ini.Config):
    """The site's configuration, ``cherrypy.config``; called, it is a decorator for handlers and classes.

    Attributes:
        file_listeners: called with the name of every file that configuration was read from.
        path_listeners: called when sections other than [global] were given, which the site cannot have.
    """

    environments = environments

    def __init__(self, file: Any = None, **kwargs: Any) -> None:
        self.file_listeners: list[Callable[[str], object]] = []
        self.path_listeners: list[Callable[[], object]] = []
        self.namespaces = ini.NamespaceSet()
        ini.Config.__init__(self, file, **kwargs)

    def update(self, config: ini.Source | Iterable[tuple[str, Any]] = (), **kwargs: Any) -> None:  # type: ignore[override]
        """Take in a file name, an open file, or a dict; a [global] section stands for the whole."""
        self.announce_file(config)
        ini.Config.update(self, config, **kwargs)

    def _apply(self, config: dict[str, Any]) -> None:
        if isinstance(config.get("global"), dict):
            if len(config) > 1:
                for listener in self.path_listeners:
                    listener()
            config = config["global"]
        if "tools.staticdir.dir" in config:
            config = {**config, "tools.staticdir.section": "global"}
        self.changed()
        ini.Config._apply(self, config)
        # Namespace handlers may have changed what was computed from this configuration, too.
        self.changed()

    def __setitem__(self, k: str, v: Any) -> None:
        dict.__setitem__(self, k, v)
        self.namespaces({k: v})
        self.changed()

    def announce_file(self, source: object) -> None:
        """Tell the file listeners if *source* is the name of a file."""
        if isinstance(source, (str, bytes, os.PathLike)):
            for listener in self.file_listeners:
                listener(os.fsdecode(source))

    def __call__(self, **kwargs: Any) -> Callable[[Target], Target]:
        """Decorate a handler or a class with configuration: ``@cherrypy.config(**{"tools.gzip.on": True})``."""

        def decorate(target: Target) -> Target:
            # a copy of what a base class has: the subclass adds to it, and the base does not hear of it
            inherited = dict(getattr(target, "_cp_config", {}))
            _Vars(target).setdefault("_cp_config", inherited).update(kwargs)
            return target

        return decorate


config = Config()


class Section(Versioned):
    """The configuration of one path of an application."""

    def __init__(self, owner: AppConfig, *args: Any, **kwargs: Any) -> None:
        self.owner = owner
        super().__init__(*args, **kwargs)

    def changed(self) -> None:
        """A change of a section is one of the whole."""
        self.version += 1
        self.owner.changed()

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (dict(self),))


class AppConfig(Versioned):
    """The configuration of one application, {path: section}; a change at either level raises ``version``."""

    def __init__(self, sections: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self.update(sections)

    def __setitem__(self, path: str, section: Any) -> None:
        super().__setitem__(path, self._own(section))

    def _own(self, section: Any) -> Any:
        if isinstance(section, Section) and section.owner is self:
            return section
        return Section(self, section) if isinstance(section, Mapping) else section

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take in another mapping of sections, replacing those of the same paths."""
        for path, section in dict(*args, **kwargs).items():
            dict.__setitem__(self, path, self._own(section))
        self.changed()

    def copy(self) -> AppConfig:
        """One of its own with the same values."""
        return AppConfig({path: dict(section) for path, section in self.items()})


def merge(base: dict[str, Any], other: ini.Source) -> None:
    """Merge *other* (a file name, an open file, or a dict of sections) into the application configuration *base*.

    Raises:
        ValueError: *other* has keys outside of sections.
    """
    config.announce_file(other)
    for section, values in ini.Parser.load(other).items():
        if not isinstance(values, dict):
            raise ValueError(
                f"An application's config needs sections, but {section!r} stands outside of any. "
                "Give paths as sections, for example: {'/': config}."
            )
        base.setdefault(section, {}).update(values)
