"""A WebSocket for threads: each method waits for the event loop to do what its namesake does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cherrypy.aio.websocket import WebSocket


class BlockingWebSocket:
    """*socket*, from any thread but the event loop's."""

    def __init__(self, socket: WebSocket, loop: asyncio.AbstractEventLoop) -> None:
        self._socket = socket
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def accept(self, subprotocol: str | None = None) -> None:
        """See ``WebSocket.accept``."""
        self._wait(self._socket.accept(subprotocol))

    def receive(self) -> str | bytes:
        """See ``WebSocket.receive``."""
        message: str | bytes = self._wait(self._socket.receive())
        return message

    def __iter__(self) -> Iterator[str | bytes]:
        return self

    def __next__(self) -> str | bytes:
        try:
            message: str | bytes = self._wait(anext(self._socket))
        except StopAsyncIteration:
            raise StopIteration from None
        return message

    def send(self, message: str | bytes) -> None:
        """See ``WebSocket.send``."""
        self._wait(self._socket.send(message))

    def ping(self, data: bytes | None = None) -> float:
        """See ``WebSocket.ping``."""
        seconds: float = self._wait(self._socket.ping(data))
        return seconds

    def close(self, code: int = 1000, reason: str = "") -> None:
        """See ``WebSocket.close``."""
        self._wait(self._socket.close(code, reason))
