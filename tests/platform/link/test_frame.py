"""JSON lines, cut out of any stream."""

from __future__ import annotations

import pytest

from kirsch.errors import ControlError
from kirsch.link.frame import FrameReader, decode_frame, encode_frame

MESSAGES = [{"verb": "ping", "args": {}}, {"event": {"kind": "ready", "text": "ä\n\u2028"}}, {"result": None}]


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_frames_come_back_whatever_the_portions(size: int) -> None:
    """Byte by byte, in pieces, and all at once."""
    stream = b"".join(map(encode_frame, MESSAGES))
    reader = FrameReader()
    found = [frame for at in range(0, len(stream), size) for frame in reader.feed(stream[at : at + size])]

    assert found == MESSAGES
    assert not reader.has_rest


def test_a_tail_is_kept_for_later() -> None:
    """Half a line is no frame yet."""
    reader = FrameReader()

    assert list(reader.feed(b'{"a":1}\n{"b"')) == [{"a": 1}]
    assert reader.has_rest
    assert list(reader.feed(b":2}\n")) == [{"b": 2}]


def test_a_line_without_end_is_refused() -> None:
    """A peer that never ends its line costs no memory beyond the limit."""
    reader = FrameReader(limit_bytes=100)

    with pytest.raises(ControlError) as caught:
        list(reader.feed(b"x" * 101))

    assert caught.value.kind == "bad_frame"
    assert not reader.has_rest


@pytest.mark.parametrize("line", [b"{", b"[1]", b"3", b'{"a":\xff}', b"\xe4"])
def test_what_is_no_object_is_refused(line: bytes) -> None:
    """Only JSON objects are frames."""
    with pytest.raises(ControlError):
        decode_frame(line)


def test_empty_lines_are_nothing() -> None:
    """A lone line feed is passed over."""
    assert list(FrameReader().feed(b'\n\r\n{"a":1}\n')) == [{"a": 1}]
