"""One request as the server hands it over, and the answer it takes back: the border to whatever runs above.

A responder is ``respond(message: Message) -> Answer``. It runs in the thread that parsed the request, usually the one
that holds the baton (see ``baton.py``), so it should call ``message.entering(key)`` once before it runs user code. It
may raise ``away.Deferred`` to answer later, without a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from cherrypy.httpd.body import Body
    from cherrypy.httpd.connection import Connection

#: ``(status, headers, body, close)``.
#:
#: - status: ``b"200 OK"``;
#: - headers: list of (name, value) byte pairs in order; framing fields are checked and completed by the server;
#: - body: a list or tuple of bytes goes out in one piece with the head; an ``OwnedFile`` or ``FileSlice`` goes by
#:   ``sendfile``; any other iterable of bytes is streamed, on a thread that does not hold the baton;
#: - close: called exactly once when the answer is out or the client has gone, or None.
Answer: TypeAlias = "tuple[bytes, list[tuple[bytes, bytes]], Iterable[bytes], Callable[[], object] | None]"

Responder: TypeAlias = "Callable[[Message], Answer]"


#: The two versions a message can have. PERF: compared by identity.
HTTP_10, HTTP_11 = (1, 0), (1, 1)


class Message:
    """One request, parsed and validated; see docs/behaviour.md for what has been refused before.

    It has no constructor on purpose. PERF: the parser fills the slots of a bare instance, 0.3 µs less a request.
    """

    __slots__ = (
        "batch",
        "body",
        "chunked",
        "connection",
        "content_length",
        "entering",
        "expects_continue",
        "has_body",
        "headers",
        "is_plain",
        "is_repeatable",
        "keep_alive",
        "method",
        "names_charset",
        "path",
        "query",
        "target",
        "version",
    )

    method: str
    """As sent; methods are case-sensitive and never contain lower-case letters."""
    target: str
    """The request target as sent, latin-1."""
    path: str
    """Raw, still percent-encoded, latin-1; absolute-form already reduced to its path; ``*`` for asterisk-form."""
    query: str
    """What follows the first ``?``, raw; empty without one."""
    version: tuple[int, int]
    """(1, 0) or (1, 1); a higher minor version counts as (1, 1)."""
    headers: list[tuple[bytes, bytes]]
    """Names as sent, values trimmed, in order. Names with an underscore are dropped, ``Host`` is valid and single."""
    has_body: bool
    """True when a body was announced, even an empty one."""
    content_length: int | None
    """As declared; None for a chunked body and for none."""
    body: Body
    """File-like reader of the decoded body."""
    connection: Connection
    """Where it came from: ``peer``, ``local``, ``scheme``, ``peercreds()``, ``tls_environ()``."""
    entering: Callable[[Hashable], None]
    """To be called once with a key for the handler about to run: the baton's memory of handlers that block."""

    batch: dict[Any, Any] | None
    """For the responder: what it has found to be so, by keys of its own, and need not look at again for the requests
    of other connections that were there at the same time; None if there was no other."""
    names_charset: bool
    """True when there is an Accept-Charset field; few clients send one, so nobody has to look for it."""

    is_plain: bool
    """A GET in HTTP/1.1 without a body, Accept-Charset or Expect, from a client that would keep the connection."""
    is_repeatable: bool
    """The server's own: every line of its head was seen before, and none carries a secret; there is no body."""
    chunked: bool
    """The server's own: the body is framed by chunks."""
    keep_alive: bool
    """The server's own: the client lets the connection persist."""
    expects_continue: bool
    """The server's own: the client waits for ``100 Continue``."""
