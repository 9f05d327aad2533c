"""Errors of the server.

    Refusal            Exception: a request that is answered by the server itself; status, one line of text
    ServerStateError   RuntimeError: a verb that does not fit the server's state (serve before prepare, ...)

Errors that an application meets while it reads a body are in ``cherrypy.http.bodyerrors``.
"""

from __future__ import annotations


class Refusal(Exception):
    """A request the server answers itself before it closes the connection.

    Args:
        status: the status line's end, such as ``b"400 Bad Request"``.
        text: one line for the client, without anything the client sent.
        headers: further fields of the answer.
    """

    def __init__(self, status: bytes, text: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.headers = headers


class ServerStateError(RuntimeError):
    """A verb that does not fit the state the server is in."""


def bad_request(text: bytes) -> Refusal:
    """A 400 that says what is wrong."""
    return Refusal(b"400 Bad Request", text)
