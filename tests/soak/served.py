"""The server under attack, in a process of its own so that its memory is only its own: prints its port, serves.

``/`` answers at once, ``/upload`` reads its body, ``/whole`` has its answer in memory, ``/file`` sends a file,
``/stream`` makes its answer piece by piece, ``/stats`` tells the server's counters.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from cherrypy.httpd.files import FileSlice
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.server import Server

ANSWER_BYTES = 1048576
WHOLE = b"w" * ANSWER_BYTES


def pieces() -> Iterator[bytes]:
    """A long answer that is made while it is sent."""
    for _ in range(256):
        yield WHOLE[:65536]


def make(file: Path) -> Server:
    """A server of the pages above; *file* is what ``/file`` sends."""

    def respond(message: Message) -> Answer:
        message.entering(message.path)
        if message.path == "/stats":
            return b"200 OK", [], [json.dumps(asdict(server.stats())).encode()], None
        if message.path == "/upload":
            size = 0
            while data := message.body.read(65536):
                size += len(data)
            return b"200 OK", [], [b"%d" % size], None
        if message.path == "/whole":
            return b"200 OK", [], [WHOLE], None
        if message.path == "/stream":
            return b"200 OK", [], pieces(), None
        if message.path == "/file":
            opened = file.open("rb")
            return b"200 OK", [], FileSlice(opened, 0, ANSWER_BYTES), opened.close
        return b"200 OK", [], [b"hello"], None

    server = Server(("127.0.0.1", 0), respond, threads=10)
    return server


def main() -> None:
    """Serve until a signal comes."""
    file = Path(sys.argv[1])
    file.write_bytes(WHOLE)
    server = make(file)
    server.prepare()
    print(server.bind_addr[1], flush=True)  # type: ignore[index]
    server.serve()


if __name__ == "__main__":
    main()
