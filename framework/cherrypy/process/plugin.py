"""What a bus plugin is: an object whose methods are named like the channels it listens to."""

from __future__ import annotations

from typing import Any

from cherrypy.process.wspbus import Bus


class SimplePlugin:
    """Base of plugins: ``subscribe`` connects every method whose name is that of a channel of the bus.

    A method's ``priority`` attribute is its place on the channel (50 without one).
    """

    bus: Any = None

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def subscribe(self) -> None:
        """Listen to all channels this object has methods for."""
        for channel, method in self._methods():
            self.bus.subscribe(channel, method)

    def unsubscribe(self) -> None:
        """Listen to none of them any more."""
        for channel, method in self._methods():
            self.bus.unsubscribe(channel, method)

    def _methods(self) -> list[tuple[str, Any]]:
        found = ((channel, getattr(self, channel, None)) for channel in list(self.bus.listeners))
        return [(channel, method) for channel, method in found if method is not None]
