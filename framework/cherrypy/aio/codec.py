"""The frames of a WebSocket, by ``wsproto``: octets in, facts out; calls in, octets out.

``wsproto`` is fetched when the first conversation begins, since most sites have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cherrypy.core.errors import CherryPyException

PROTOCOL_ERROR = 1002

#: What came in: ("message", part, is it the last), ("ping", data, True), ("pong", data, True),
#: ("close", (code, reason), True), ("broken", (code, reason), True).
Fact = tuple[str, Any, bool]


class Codec:
    """One conversation's state.

    Args:
        deflate_offer: the client's well-formed offer of permessage-deflate; None to do without.

    Attributes:
        extension: what the handshake says about it, None for nothing.
    """

    def __init__(self, deflate_offer: str | None = None) -> None:
        try:
            import wsproto  # noqa: PLC0415
            import wsproto.connection  # noqa: PLC0415
            import wsproto.events  # noqa: PLC0415
            import wsproto.extensions  # noqa: PLC0415
        except ImportError as error:
            raise CherryPyException("tools.websocket needs the package wsproto: pip install wsproto") from error
        self._events: Any = wsproto.events
        self.extension: str | None = None
        extensions: list[Any] = []
        if deflate_offer is not None:
            deflate = _deflate_class(wsproto.extensions.PerMessageDeflate)()
            answer = deflate.accept(deflate_offer)
            if isinstance(answer, str):
                self.extension = f"permessage-deflate; {answer}" if answer else "permessage-deflate"
                extensions.append(deflate)
        self._connection: Any = wsproto.connection.Connection(wsproto.ConnectionType.SERVER, extensions)
        self._closing = (
            wsproto.connection.ConnectionState.REMOTE_CLOSING,
            wsproto.connection.ConnectionState.CLOSED,
        )

    def receive(self, data: bytes) -> Iterator[Fact]:
        """Yield what *data* says; after "close" and "broken" there is nothing more."""
        connection, events = self._connection, self._events
        try:
            connection.receive_data(data)
            for event in connection.events():
                if isinstance(event, events.Message):
                    yield (
                        "message",
                        event.data if isinstance(event.data, str) else bytes(event.data),
                        (event.message_finished),
                    )
                elif isinstance(event, events.CloseConnection):
                    # only a state that follows a client's farewell tells it from an error
                    kind = "close" if connection.state in self._closing else "broken"
                    yield kind, (int(event.code), event.reason or ""), True
                    return
                elif isinstance(event, events.Ping):
                    yield "ping", bytes(event.payload), True
                elif isinstance(event, events.Pong):
                    yield "pong", bytes(event.payload), True
        except (AssertionError, ValueError, TypeError):
            # SECURITY: whatever a client makes the library stumble over is the client's error
            yield "broken", (PROTOCOL_ERROR, "malformed frame"), True

    def message(self, data: str | bytes) -> bytes:
        """A whole message."""
        kind = self._events.TextMessage if isinstance(data, str) else self._events.BytesMessage
        return bytes(self._connection.send(kind(data=data)))

    def ping(self, data: bytes) -> bytes:
        """A ping."""
        return bytes(self._connection.send(self._events.Ping(payload=data)))

    def pong(self, data: bytes) -> bytes:
        """The answer to one."""
        return bytes(self._connection.send(self._events.Pong(payload=data)))

    def close(self, code: int, reason: str) -> bytes:
        """A farewell."""
        return bytes(self._connection.send(self._events.CloseConnection(code=code, reason=reason or None)))


def _deflate_class(base: Any) -> Any:
    """Return wsproto's class for permessage-deflate, made to leave control frames alone.

    COMPAT: in wsproto 1.3 a control frame between two fragments makes it take the rest of a compressed message as it
    came (tests/framework/aio/test_websocket.py: test_fragments_and_pings_in_between).
    """

    class Deflate(base):  # type: ignore[misc]
        _inbound_compressed: Any

        def frame_inbound_header(self, proto: Any, opcode: Any, rsv: Any, payload_length: int) -> Any:
            held = self._inbound_compressed
            answer = super().frame_inbound_header(proto, opcode, rsv, payload_length)
            if opcode.iscontrol():
                self._inbound_compressed = held
            return answer

        def frame_inbound_complete(self, proto: Any, fin: bool) -> Any:
            return super().frame_inbound_complete(proto, fin) if self._inbound_is_compressible else None

    return Deflate
