"""What a supervisor tells a worker (the order, a file) and what the worker says back (reports, frames on a pipe)."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Literal

import msgspec

from kirsch.spec.app import App
from kirsch.spec.stack import decode_special

WorkerState = Literal["booting", "warming", "ready", "draining", "stopped", "failed"]

SHED_SIGNAL = signal.SIGWINCH
"""Tells a worker to let go of the connections that it has, each with its next answer.

A signal that does nothing to who does not know it: a worker that boots, or one of an older version that was adopted.
"""

LEAVE_SIGNAL = signal.SIGURG
"""Tells a worker that nobody new will come: streams are to tell their clients to come again, elsewhere.

Nothing to who does not know it, either.
"""


GO = b"go"
"""What a template says when it may be forked, and a worker that was forked hears when it may begin."""

WHOLE_TRACEBACK = "kirsch: the boot failed; its whole traceback:\n"
"""Stands in a worker's log before what its report tells shorter."""

LAST_WORDS_S = 3.0
"""What an application's own threads get when a worker leaves; then the process ends all the same."""


class Limits(msgspec.Struct, kw_only=True, frozen=True):
    """Bounds that a worker keeps; octets end in ``_bytes``, seconds in ``_s``."""

    body_bytes: int = 100 * 2**20
    """The largest request body of any vhost in front."""
    idle_s: float = 75.0
    """How long a kept connection may wait; longer than nginx's 3 s, so that nginx is always the one that closes."""
    request_deadline_s: float = 60.0
    """The longest that one request may take."""
    drain_s: float = 30.0
    """How long requests that run may go on after SIGTERM."""


class Order(msgspec.Struct, kw_only=True, frozen=True):
    """All that a worker has to know; written by the supervisor, read by ``python -m kirsch.worker ORDER.json``."""

    stack: str
    pool: str
    seat: int
    """Number in the pool, from 1; the worker's name is POOL.SEAT."""
    record: int
    """The worker's record in the scoreboard; nobody else writes there."""
    generation: int
    release: str
    release_dir: str
    """Absolute folder of the release, resolved: never the ``current`` link."""
    shared_dir: str
    """Absolute folder that outlives releases."""
    socket_dir: str
    """Absolute folder for the worker's own socket ``POOL.SEAT.PID.sock``."""
    scoreboard: str
    """The pool's scoreboard file."""
    apps: tuple[App, ...]
    engine: Literal["native", "gunicorn", "uwsgi"] = "native"
    protocol: Literal["http", "uwsgi"] = "http"
    """How nginx, the supervisor and the holding server speak to the worker's socket."""
    threads: int = 10
    limits: Limits = Limits()
    trusted_proxies: tuple[str, ...] = ("unix:",)
    """Peers whose X-Forwarded-* count: the platform put nginx in front of the socket, and nothing else reaches it."""
    engine_options: dict[str, str | int | float | bool] = {}
    """Settings of gunicorn or uWSGI, by their own names."""
    public_host: str = "localhost"
    """The name that a visitor would ask for; what warms the apps up asks for it too."""
    log: Literal["text", "json"] = "text"
    """How the records of the worker's log look."""
    access_log: bool = False
    """Whether CherryPy's access lines go to the worker's log, beside nginx's."""
    capture: int = 5
    """How many failed requests of each handler are kept."""
    capture_body_bytes: int = 0
    """How much of their bodies is kept."""
    bus_socket: str = ""
    """Where the hub listens; empty for a worker that is alone."""
    template_fd: int | None = None
    """Where a template hears of the workers that it is to be forked for; None for a worker."""
    report_fd: int | None = None
    """Inherited descriptor of the report pipe; None for a worker started by hand."""

    @property
    def name(self) -> str:
        """``web.1``."""
        return f"{self.pool}.{self.seat}"

    def socket_path(self, pid: int) -> str:
        """The socket that the process *pid* binds when it is ready."""
        return f"{self.socket_dir}/{self.pool}.{self.seat}.{pid}.sock"


class Report(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One word from a worker: what it does now and, when it failed, why."""

    state: WorkerState
    step: str = ""
    """What it is at while booting (``import shop.web:Root``) or warming (``GET /search``), or what failed."""
    since: float = 0.0
    """Unix time."""
    socket: str | None = None
    """Where it listens; with ``ready``."""
    traceback: str | None = None
    """The application's part of the traceback; with ``failed``. The log has the whole."""
    message: str | None = None
    """One line of the failure, or of what draining waits for."""


def load_order(path: str | Path) -> Order:
    """Read an order from its file.

    Raises:
        OSError: the file cannot be read.
        msgspec.ValidationError: it is no order (written by another version of kirsch).
    """
    return msgspec.json.decode(Path(path).read_bytes(), type=Order, dec_hook=decode_special)


def report_from(data: dict[str, Any]) -> Report:
    """Return the report that a frame holds.

    Raises:
        msgspec.ValidationError: it holds none.
    """
    return msgspec.convert(data, type=Report)
