"""JSON lines: one object a line, UTF-8, ended by a line feed; what the control socket and the report pipe carry.

Law: a reader takes bytes in any portions and gives back whole objects, in order; a line beyond the limit is an error
and never a memory leak.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from kirsch.errors import ControlError

#: The longest line. A traceback with source lines and the last output of a worker fit many times over.
LINE_LIMIT_BYTES = 4 * 2**20

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode_frame(message: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """Return *message* as one line: ``{"verb": "ping"}`` becomes ``{"verb":"ping"}`` and a line feed."""
    return _encoder.encode(message) + b"\n"


def decode_frame(line: bytes) -> dict[str, Any]:
    """Return the object that a line holds.

    Raises:
        ControlError: kind ``bad_frame``: no JSON, or no object.
    """
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise ControlError(f"not a JSON object in one line: {error}", kind="bad_frame") from error


class LineCutter:
    """Cuts a stream of bytes into lines: bytes in any portions in, whole lines out, without their ends."""

    __slots__ = ("_limit_bytes", "_rest")

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._rest = bytearray()
        self._limit_bytes = limit_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take *data* and yield every line that is complete by now; empty ones are none.

        Raises:
            ControlError: kind ``bad_frame``: a line is longer than the limit.
        """
        if b"\n" in data:
            if self._rest:
                data = bytes(self._rest) + data
            *lines, rest = data.split(b"\n")
            self._rest = bytearray(rest)
            for line in lines:
                if len(line) > self._limit_bytes:
                    raise self._too_long()
                if line and not line.isspace():
                    yield line
        else:
            self._rest += data
        if len(self._rest) > self._limit_bytes:
            raise self._too_long()

    def _too_long(self) -> ControlError:
        self._rest.clear()
        return ControlError(f"a line is longer than {self._limit_bytes} octets", kind="bad_frame")

    @property
    def has_rest(self) -> bool:
        """True in the middle of a line."""
        return bool(self._rest)


class FrameReader(LineCutter):
    """Cuts a stream of bytes into frames: bytes in any portions in, whole objects out."""

    __slots__ = ()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Take *data* and yield every frame that is complete by now.

        Raises:
            ControlError: kind ``bad_frame``: a line is no JSON object, or longer than the limit.
        """
        for line in super().feed(data):
            yield decode_frame(line)
