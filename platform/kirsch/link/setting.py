"""The platform's own channels, and how settings of one application are named."""

from __future__ import annotations

from typing import NamedTuple

CHECK_SETTINGS = "kirsch.check_settings"
"""Section and {key: value or None}: asks whether they could be set; nothing changes."""
SETTING = "kirsch.setting"
"""Section, key, value: it is set from now on; None takes it back."""
PURGE_CACHE = "kirsch.purge_cache"
SESSION_STORES = "kirsch.session_stores"
PURGE_SESSIONS = "kirsch.purge_sessions"
MAINTENANCE = "kirsch.maintenance"
ASK = "kirsch.ask"
"""Verb and arguments: what one supervisor has another do."""

SECTIONS = ("config", "app_config", "flags", "log_level")


class AppKey(NamedTuple):
    """A key of one application's configuration; in the section ``app_config`` its name is "shop /admin tools.x.y"."""

    app: str
    path: str
    key: str

    def __str__(self) -> str:
        return f"{self.app} {self.path} {self.key}"


def parse_app_key(name: str) -> AppKey:
    """Return what a name in the section ``app_config`` means; the path alone may have blanks.

    Raises:
        ValueError: it is none.
    """
    app, _, rest = name.partition(" ")
    path, _, key = rest.rpartition(" ")
    if not app or not path.startswith("/") or not key:
        raise ValueError(f"{name!r} is no setting of an app; allowed: APP /PATH KEY")
    return AppKey(app, path, key)
