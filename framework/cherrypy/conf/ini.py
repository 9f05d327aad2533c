"""Configuration as data: ini files whose values are Python expressions, and dicts that tell namespaces of changes.

[global]
server.socket_port = 8080
[/static]
tools.staticdir.on = True
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from cherrypy.conf.expression import attributes, modules, unrepr

__all__ = ["Config", "NamespaceSet", "Parser", "as_dict", "attributes", "modules", "unrepr"]

Handler = Callable[[str, Any], Any]
# Where configuration comes from: a file name, an open file, or a mapping.
Source = str | bytes | os.PathLike[str] | IO[str] | IO[bytes] | Mapping[str, Any]


class ConfigValueError(ValueError):
    """A value of a file that is no allowed expression; ``args`` are (text, name of the cause's class, its args)."""

    def __str__(self) -> str:
        return str(self.args[0])


class Parser(configparser.ConfigParser):
    """Reader of ini files: keys keep their case, ``=`` or ``:`` separates, ``%(name)s`` takes from [DEFAULT]."""

    def optionxform(self, optionstr: str) -> str:
        """Keys are case-sensitive, and may contain dots."""
        return optionstr

    def read(self, filenames: Any, encoding: str | None = "utf-8") -> list[str]:  # type: ignore[override]
        """Read one file or several; unlike the standard library's, a missing file is an error.

        Raises:
            OSError: a file cannot be opened.
        """
        names = [filenames] if isinstance(filenames, (str, bytes, os.PathLike)) else list(filenames)
        for name in names:
            with open(name, encoding=encoding) as source:
                self.read_file(source, str(name))
        return [os.fsdecode(name) for name in names]

    def as_dict(self, raw: bool = False, vars: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
        """{section: {option: value}} with every value evaluated; [DEFAULT] is in every section.

        Raises:
            ConfigValueError: naming section, option, value and cause, when the value is not an allowed expression.
        """
        return {
            section: {option: self._value(section, option, raw, vars) for option in self.options(section)}
            for section in self.sections()
        }

    def _value(self, section: str, option: str, raw: bool, vars: Mapping[str, str] | None) -> Any:
        text = self.get(section, option, raw=True)
        try:
            text = self.get(section, option, raw=raw, vars=vars)
            return unrepr(text)
        except Exception as error:
            raise ConfigValueError(
                f"Config error in section: {section!r}, option: {option!r}, value: {text!r}. "
                f"Config values must be valid Python expressions ({error}).",
                type(error).__name__,
                error.args,
            ) from error

    def dict_from_file(self, file: Any) -> dict[str, dict[str, Any]]:
        """What ``as_dict`` makes of a file name or an open file."""
        if hasattr(file, "read"):
            self.read_file(file)
        else:
            self.read(file)
        return self.as_dict()

    @classmethod
    def load(cls, input: Source | Iterable[tuple[str, Any]]) -> dict[str, Any]:
        """A dict of its own from a file name, an open file, or a dict."""
        source: Any = input
        return cls().dict_from_file(source) if is_file(source) else dict(source)


def is_file(source: object) -> bool:
    """True for what ``Parser`` reads: a file name or an open file."""
    return isinstance(source, (str, bytes, os.PathLike)) or hasattr(source, "read")


def as_dict(config: Source) -> dict[str, Any]:
    """A dict from a file name, an open file, or a dict."""
    return Parser.load(config)


class NamespaceSet(dict[str, Any]):
    """{name: handler}: who is told of keys that begin with 'name.'.

    A handler is a callable ``(key without the prefix, value)``, or a context manager whose ``__enter__`` returns one;
    it is left again when the keys of one configuration have been given to it.
    """

    def __call__(self, config: Mapping[str, Any]) -> None:
        """Give every key of *config* with a known prefix to its handler, namespace after namespace."""
        buckets: dict[str, list[tuple[str, Any]]] = {}
        for key, value in config.items():
            namespace, dot, name = key.partition(".")
            if dot:
                buckets.setdefault(namespace, []).append((name, value))
        # Handlers may add namespaces while they run (toolboxes do).
        for namespace, handler in list(self.items()):
            keys = buckets.get(namespace, ())
            # COMPAT: cherrybase says ``__exit__ = None``, for its ``__getattr__`` knows settings only
            if getattr(handler, "__exit__", None) is not None:
                with handler as told:
                    _tell(told, keys)
            else:
                _tell(handler, keys)

    def copy(self) -> NamespaceSet:
        """A set of its own with the same handlers."""
        return type(self)(self)

    __copy__ = copy

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({super().__repr__()})"


def _tell(handler: Handler, keys: Iterable[tuple[str, Any]]) -> None:
    for name, value in keys:
        handler(name, value)


class Config(dict[str, Any]):
    """A flat dict of configuration that applies environments and tells its namespaces of every key set.

    Attributes:
        defaults: what ``reset`` goes back to.
        environments: {name: keys that 'environment' = name adds unless they are given}.
        namespaces: who is told.
    """

    defaults: dict[str, Any] = {}
    environments: dict[str, dict[str, Any]] = {}
    namespaces = NamespaceSet()

    def __init__(self, file: Any = None, **kwargs: Any) -> None:
        super().__init__()
        self.reset()
        if file is not None:
            self.update(file)
        if kwargs:
            self.update(kwargs)

    def reset(self) -> None:
        """Forget everything but the defaults."""
        self.clear()
        dict.update(self, self.defaults)

    def update(self, config: Source | Iterable[tuple[str, Any]] = (), **kwargs: Any) -> None:  # type: ignore[override]
        """Take in a file name, an open file, or a dict."""
        self._apply({**Parser.load(config), **kwargs})

    def _apply(self, config: dict[str, Any]) -> None:
        environment = config.get("environment")
        if environment:
            try:
                template = self.environments[environment]
            except KeyError:
                known = ", ".join(sorted(self.environments)) or "none"
                raise KeyError(f"unknown environment {environment!r}; known: {known}") from None
            config = {**template, **config}
        dict.update(self, config)
        self.namespaces(config)

    def __setitem__(self, k: str, v: Any) -> None:
        super().__setitem__(k, v)
        self.namespaces({k: v})
