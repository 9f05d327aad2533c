"""What the operator changes in a running worker: configuration and log levels, each with a way back."""

from __future__ import annotations

import logging
from typing import Any

import cherrypy
from kirsch.link.cluster import Cluster

log = logging.getLogger(__name__)

_ABSENT = object()
#: What may be set: nothing that makes objects, mounts applications or ends processes.
NAMESPACES = ("server", "tools", "log", "request", "response", "error_page")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class LiveSettings:
    """The settings that are in force here, over what the configuration says."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], Any] = {}

    def follow(self, cluster: Cluster) -> None:
        """Apply what is set, and what will be."""
        for section, values in list(cluster.settings.items()):
            for key, value in list(values.items()):
                try:
                    self.apply(section, key, value)
                except (TypeError, ValueError) as error:
                    log.error("setting %s %s: %s", section, key, error)
        cluster.on_setting.append(self.apply)

    def apply(self, section: str, key: str, value: Any) -> None:
        """Put a setting in force; None takes it back.

        Raises:
            ValueError, TypeError: it is none, or the framework refuses its value.
        """
        if section == "config":
            self._configure(key, value)
        elif section == "log_level":
            self._set_level(key, value)

    def _configure(self, key: str, value: Any) -> None:
        if key.partition(".")[0] not in NAMESPACES:
            raise ValueError(f"{key} cannot be set while workers run; allowed: {', '.join(NAMESPACES)}.*")
        if value is not None:
            now = _current(key)
            try:
                cherrypy.config.update({key: value})
            except Exception:
                _put_back(key, *now)
                raise
            self._before.setdefault(("config", key), now)
        elif ("config", key) in self._before:
            _put_back(key, *self._before.pop(("config", key)))

    def _set_level(self, name: str, value: Any) -> None:
        loggers = [cherrypy.log.error_log] if name == "site" else [logging.getLogger(None if name == "root" else name)]
        for logger in loggers:
            if value is None:
                logger.setLevel(self._before.pop(("log_level", name), logger.level))
            elif value in LEVELS:
                self._before.setdefault(("log_level", name), logger.level)
                logger.setLevel(value)
            else:
                raise ValueError(f"level {value!r}; allowed: {', '.join(LEVELS)}")


def _put_back(key: str, was_there: bool, value: Any) -> None:
    if value is not _ABSENT:
        cherrypy.config.update({key: value})
    if not was_there:
        cherrypy.config.pop(key, None)


def _current(key: str) -> tuple[bool, Any]:
    """Return whether the site's configuration has *key*, and what is in force: its value, or an attribute's default."""
    if key in cherrypy.config:
        return True, cherrypy.config[key]
    namespace, _, name = key.partition(".")
    target = {"server": cherrypy.server, "log": cherrypy.log}.get(namespace)
    return False, getattr(target, name, _ABSENT) if target is not None else _ABSENT
