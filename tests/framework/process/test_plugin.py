"""Plugins listen to the channels their methods are named like."""

from __future__ import annotations

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
