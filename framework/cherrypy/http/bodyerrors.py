"""What goes wrong while an application reads a request body.

    BodyError               ValueError-free: an OSError, as a broken file would raise
    ├── BodyTooLarge        413  the body is longer than the limit allows
    ├── BodyTimeout         408  the client sends too slowly
    ├── BodyMalformed       400  the chunked coding is broken
    └── BodyIncomplete      400  the client went away before the end

They live here, below both the server that raises them and the framework that turns them into answers.
"""

from __future__ import annotations


class BodyError(OSError):
    """A request body cannot be read to its end; ``status`` is the answer it deserves."""

    status = 400


class BodyTooLarge(BodyError):
    """The body is longer than the server accepts."""

    status = 413


class BodyTimeout(BodyError):
    """The client sends its body more slowly than the server waits."""

    status = 408


class BodyMalformed(BodyError):
    """The body's chunked coding breaks its grammar; nothing after it can be trusted."""

    status = 400


class BodyIncomplete(BodyError):
    """The client closed its side before the body was complete."""

    status = 400
