"""What the server lets in, and for how long it waits. One mutable object, read at the moment it matters."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

#: Bodies of up to so many octets, in any framing, are received by the polling thread before the handler is called.
#: So are longer ones while there is memory for them (``Limits.body_memory_bytes``); others are read by the thread that
#: runs the handler, unless too many threads wait for clients (``waits.py``).
BUFFERED_BODY_BYTES = 65536


@dataclass(slots=True)
class Limits:
    """Limits and deadlines of one server; fields may be changed while it serves.

    Octets end in ``_bytes``, seconds in ``_s``. The table with reasons is in docs/behaviour.md.
    """

    request_line_bytes: int = 16384
    """Longest request line; 414 beyond."""
    field_bytes: int = 32768
    """Longest single field line; 431 beyond."""
    head_bytes: int = 65536
    """Request line and all fields together; ``head_status`` beyond."""
    fields: int = 128
    """Most field lines in one head (431 beyond), and in one trailer section (400 beyond)."""
    head_status: int = 431
    """Answer to a head that is too large (CherryPy's documents say 413)."""
    empty_lines: int = 4
    """Empty lines forgiven before a request line; 400 beyond."""
    body_bytes: int = 104857600
    """Longest request body, as declared or as decoded from chunks; 413 beyond. 0 means without limit."""
    chunk_line_bytes: int = 1024
    """Longest chunk-size line, extensions included; 400 beyond."""
    trailer_bytes: int = 16384
    """The trailer section of a chunked body; 400 beyond."""
    drain_bytes: int = 262144
    """Most octets of an unread body thrown away to keep a connection; with more to come it is closed."""
    body_memory_bytes: int = 4194304
    """Longest body of declared length that is received into memory before its handler runs, unless its client waits
    for ``100 Continue``."""
    bodies_memory_bytes: int = 67108864
    """Octets that such bodies may have altogether until their handlers run; beyond, bodies are read by threads, or
    spooled."""
    spool_memory_bytes: int = 262144
    """Octets kept in memory of a long body that no thread waits for; with more all of it is in a temporary file."""
    spool_bytes: int = 1073741824
    """Most octets of such bodies altogether; 503 to who sends one more."""
    spool_directory: str | None = None
    """Where their files are; the system's directory for temporary files without it."""
    waiting_threads: int = 64
    """Most threads hired in the place of those that wait for clients; beyond, the client that keeps its thread waiting
    longest is cut off."""

    head_s: float = 20.0
    """From a request's first octet to the end of its head; 408 beyond."""
    idle_s: float = 75.0
    """How long a kept connection may wait for its next request; it is closed without a word then.
    Longer than nginx's upstream ``keepalive_timeout`` (60 s by default, 3 s in what the platform renders), so that
    nginx is always the one that closes."""
    body_grace_s: float = 20.0
    """Waiting granted to a request body before its rate counts."""
    body_rate_bytes_per_s: float = 256.0
    """Least average rate of a request body after the grace; 408 below."""
    body_s: float = inf
    """All waiting for one request body, whatever its rate; 408 beyond."""
    write_grace_s: float = 20.0
    """Waiting granted to a client that does not take its answer before its rate counts."""
    write_rate_bytes_per_s: float = 256.0
    """Least average rate at which a client must take its answer; the connection is reset below."""
    linger_s: float = 2.0
    """How long a refused client may go on sending before the connection is closed under it."""
    handshake_s: float = 10.0
    """For a TLS handshake."""
    stop_s: float = 5.0
    """How long ``serve`` lets running requests finish when it is interrupted."""

    requests: int = 0
    """Most requests on one connection; the answer to the last one closes it. 0 means without limit."""
    connections: int = 16384
    """Most open connections; the idlest is dropped for a new one, and with none idle the new one gets 503."""
    queued: int = -1
    """How many requests may wait for a thread while all are inside handlers; 503 beyond. -1 means without limit."""
    queue_s: float = 10.0
    """How long those beyond may wait all the same, if a thread comes free."""
    retry_after_s: int = 1
    """What a 503 of the server's own tells the client to wait."""
    backlog: int = 1024
    """Queue of the listening socket; the kernel caps it at net.core.somaxconn."""
    failure_continues: bool = False
    """Send ``100 Continue`` before an answer of class 5xx to a client that waits with its body, read the body and keep
    the connection (as CherryPy did), rather than close it: a failure of the server's is no refusal of the body."""
    accept_connect: bool = False
    """Hand CONNECT requests to the application (path ``/host:port``) rather than answer 405."""
    accept_encoded_host: bool = False
    """Let a Host pass that is one RFC 2047 encoded word, for an application that decodes and checks it; else 400."""
    nul_status: int = 400
    """Answer to a request target with a NUL in it; such a request never gets further (CherryPy said 404)."""
