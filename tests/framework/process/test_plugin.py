"""Plugins listen to the channels their methods are named like."""

from __future__ import annotations

from cherrypy.process import plugins
from cherrypy.process.plugin import SimplePlugin
from cherrypy.process.wspbus import Bus


class Noting(SimplePlugin):
    """Listens to start, and to a channel that exists before it subscribes."""

    def start(self) -> str:
        return "started"

    start.priority = 5

    def custom(self, value: int) -> int:
        return value

    def no_channel(self) -> None:
        """Not called by anybody."""


def test_methods_are_subscribed_by_name() -> None:
    """With their priority, and only to channels that exist."""
    bus = Bus()
    bus.listeners["custom"] = set()
    plugin = Noting(bus)

    plugin.subscribe()

    assert bus.publish("start") == ["started"]
    assert bus.publish("custom", 7) == [7]
    assert bus._priorities["start", plugin.start] == 5
    assert "no_channel" not in bus.listeners

    plugin.unsubscribe()

    assert bus.publish("start") == []


def test_only_own_methods_are_unsubscribed() -> None:
    """Others on the same channel stay."""
    bus = Bus()
    bus.subscribe("start", lambda: "other")
    plugin = Noting(bus)
    plugin.subscribe()

    plugin.unsubscribe()

    assert bus.publish("start") == ["other"]


def test_the_documented_plugins_are_in_one_module() -> None:
    """Under their documented names."""
    names = "SimplePlugin SignalHandler DropPrivileges Daemonizer PIDFile PerpetualTimer BackgroundTask Monitor"

    assert [name for name in [*names.split(), "Autoreloader", "ThreadManager"] if not hasattr(plugins, name)] == []
