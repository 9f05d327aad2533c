"""What the engines have in common whose server is of others."""

from __future__ import annotations

import socket

from kirsch.link.order import Order
from kirsch.worker.voice import Voice


class ForeignEngine:
    """A server of others on the worker's Unix socket, beside the engine bus."""

    def __init__(self, order: Order, voice: Voice) -> None:
        self.order = order
        self.voice = voice
        self._path = ""
        self._listener: socket.socket

    def ask_to_leave(self) -> None:
        """Do nothing: streams hear of it on the bus."""
