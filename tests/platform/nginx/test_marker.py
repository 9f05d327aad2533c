"""The marker's answer, and what is none."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from kirsch.nginx.marker import Marker, ask_marker

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Kirsch-Nginx-Pid: 42\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (HEAD + b"000007", Marker("000007", 42)),
        (HEAD.replace(b"200", b"404") + b"000007", None),
        (HEAD.replace(b"X-Kirsch", b"X-Other") + b"000007", None),
        (HEAD.replace(b"42", b"-1") + b"000007", None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_only_a_marker_s_answer_counts(tmp_path: Path, answer: bytes, expected: Marker | None) -> None:
    """Anything else is nobody."""
    path = str(tmp_path / "m.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        found = ask_marker(path)
        thread.join()

    assert found == expected


def test_nobody_there_is_no_marker(tmp_path: Path) -> None:
    """Neither a missing socket, nor a dead one, nor one that stays silent."""
    path = str(tmp_path / "m.sock")
    missing = ask_marker(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        dead = ask_marker(path)
        listener.listen(1)
        silent = ask_marker(path, timeout_s=0.05)

    assert (missing, dead, silent) == (None, None, None)
