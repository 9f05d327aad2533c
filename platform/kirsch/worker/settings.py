"""What the operator changes in a running worker: configuration and log levels, each with a way back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import cherrypy
from kirsch.link.cluster import Cluster
from kirsch.link.setting import CHECK_SETTINGS, AppKey, parse_app_key
from kirsch.spec import App
from kirsch.worker.settingcheck import check_app, check_level, check_site

log = logging.getLogger(__name__)

_ABSENT = object()


class LiveSettings:
    """The settings that are in force here, over what the configuration says.

    Args:
        apps: what this worker runs; settings of other apps are other workers' affair.
    """

    def __init__(self, apps: Iterable[App] = ()) -> None:
        self._mounts = {app.name: app.mount.rstrip("/") for app in apps}
        self._before: dict[tuple[str, str], Any] = {}
        self._lock = threading.RLock()

    def follow(self, cluster: Cluster) -> None:
        """Apply what is set, and what will be; say beforehand what could not be."""
        cluster.subscribe_to(CHECK_SETTINGS, self.check)
        cluster.on_setting.append(self.apply)
        for section, values in list(cluster.settings.items()):
            for key, value in list(values.items()):
                try:
                    self.apply(section, key, value)
                except (TypeError, ValueError) as error:
                    log.error("setting %s %s: %s", section, key, error)

    def check(self, section: str, values: Mapping[str, Any]) -> None:
        """Refuse what could not be set, all of it together; nothing changes. None, which takes back, always can be.

        Raises:
            ValueError, TypeError: a key is none, or the framework refuses its value.
        """
        wanted = {key: value for key, value in values.items() if value is not None}
        if section == "config":
            check_site(wanted)
        elif section == "log_level":
            for name, level in wanted.items():
                check_level(name, level)
        elif section == "app_config":
            for place, settings in _by_place(wanted).items():
                if place.app in self._mounts:
                    check_app(self._application(place.app), place.path, settings)

    def apply(self, section: str, key: str, value: Any) -> None:
        """Put a setting in force; None takes it back.

        Raises:
            ValueError, TypeError: it is none, or the framework refuses its value.
        """
        with self._lock:
            if section == "config":
                self._configure(key, value)
            elif section == "app_config":
                self._configure_app(parse_app_key(key), value)
            elif section == "log_level":
                self._set_level(key, value)

    def _configure(self, key: str, value: Any) -> None:
        if value is not None:
            check_site({key: value}, whole=False)
            now = _current(key)
            try:
                cherrypy.config.update({key: value})
            except Exception:
                _put_back(key, *now)
                raise
            self._before.setdefault(("config", key), now)
        elif ("config", key) in self._before:
            _put_back(key, *self._before.pop(("config", key)))

    def _configure_app(self, place: AppKey, value: Any) -> None:
        if place.app not in self._mounts:
            return
        application = self._application(place.app)
        memory = ("app_config", str(place))
        if value is not None:
            check_app(application, place.path, {place.key: value}, whole=False)
            before = application.config.get(place.path, {}).get(place.key, _ABSENT)
            application.merge({place.path: {place.key: value}})
            self._before.setdefault(memory, before)
        elif memory in self._before:
            _take_out(application, place, self._before.pop(memory))

    def _application(self, name: str) -> cherrypy.Application:
        found = cherrypy.tree.apps.get(self._mounts[name])
        if not isinstance(found, cherrypy.Application):
            raise ValueError(f"app {name} has no CherryPy application at {self._mounts[name] or '/'} to configure")
        return found

    def _set_level(self, name: str, value: Any) -> None:
        loggers = [cherrypy.log.error_log] if name == "site" else [logging.getLogger(None if name == "root" else name)]
        for logger in loggers:
            if value is None:
                logger.setLevel(self._before.pop(("log_level", name), logger.level))
            else:
                check_level(name, value)
                self._before.setdefault(("log_level", name), logger.level)
                logger.setLevel(value)


def _by_place(values: Mapping[str, Any]) -> dict[AppKey, dict[str, Any]]:
    """Gather settings of one path of one app, as they have to work together."""
    found: dict[AppKey, dict[str, Any]] = {}
    for name, value in values.items():
        place = parse_app_key(name)
        found.setdefault(place._replace(key=""), {})[place.key] = value
    return found


def _take_out(application: cherrypy.Application, place: AppKey, before: Any) -> None:
    section = application.config.get(place.path, {})
    if before is _ABSENT:
        section.pop(place.key, None)
        if not section:
            application.config.pop(place.path, None)
    else:
        section[place.key] = before


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
