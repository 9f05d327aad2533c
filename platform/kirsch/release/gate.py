"""The health gate: a release counts once every worker answers for every app, and nginx for every mount of every
vhost.

Workers are asked on their own sockets first: right after a roll nginx may still hold connections to the old workers,
who go on answering there, so that an answer through nginx alone would not prove the new code.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from kirsch.errors import GateFailed
from kirsch.link import uwsgi
from kirsch.release.status import Status
from kirsch.spec import HostPaths, Listen, Stack

PATIENCE_S = 10.0
IMPATIENCE_S = 1.0
RETRY_EVERY_S = 0.1
BODY_SHOWN_BYTES = 600
PASSING = frozenset({0, 502, 503, 504})
"""No answer, and the statuses of a moment in which nobody is there yet; another 5xx is the application's own."""


@dataclass(frozen=True)
class Question:
    """One request of the gate: the address or the worker's socket, which Host to name, which path to ask for."""

    listen: Listen
    host: str
    path: str
    worker: str | None = None
    socket: str | None = None
    protocol: str = "http"
    """What is spoken there."""

    @property
    def url(self) -> str:
        """How the operator would write it."""
        return self.listen.url.rstrip("/") + self.path

    def __str__(self) -> str:
        if self.worker is not None:
            return f"{self.worker}: GET {self.path}"
        return f"{self.url} (Host: {self.host})"


@dataclass(frozen=True)
class Reply:
    """What came back: a status and the beginning of the body, or status 0 and why nothing came."""

    status: int
    body: str

    @property
    def is_good(self) -> bool:
        """A worker answered and did not fail: a page that asks for a login or is not there is the app's own affair."""
        return 100 <= self.status < 500


class Refused(GateFailed):
    """A question was not answered well; `question` says which."""

    def __init__(self, question: Question, reply: Reply) -> None:
        what = f"answers {reply.status}" if reply.status else "does not answer"
        super().__init__(f"{question} {what}", step="health", output=reply.body)
        self.question = question


def public_questions(stack: Stack, leave_out: Collection[str] = ()) -> tuple[Question, ...]:
    """Return what is asked through nginx: for each vhost each of its apps' mounts, on each of its addresses.

    A vhost under maintenance answers 503 to everybody, which is what it is for; *leave_out* are those that nginx does
    not serve.
    """
    silent = {vhost.name for vhost in stack.vhosts.values() if vhost.maintenance}
    return tuple(_public(stack, silent.union(leave_out)))


def worker_questions(stack: Stack, status: Status, paths: HostPaths) -> tuple[Question, ...]:
    """Return what each ready worker of *status* is asked on its own socket: the mounts of its pool's apps."""
    return tuple(_of_workers(stack, status, paths))


def pass_gate(
    questions: Iterable[Question], *, ask: Callable[[Question], Reply] | None = None, patience_s: float = PATIENCE_S
) -> int:
    """Ask every question until its answer is good; return how many there were.

    Raises:
        Refused: one is still not good after *patience_s*, or sooner if the application itself fails.
    """
    put = ask or put_question
    asked = 0
    for question in questions:
        began = time.monotonic()
        while not (reply := put(question)).is_good:
            limit_s = patience_s if reply.status in PASSING else min(patience_s, IMPATIENCE_S)
            if time.monotonic() - began >= limit_s:
                raise Refused(question, reply)
            time.sleep(RETRY_EVERY_S)
        asked += 1
    return asked


def put_question(question: Question, *, timeout_s: float = 10.0) -> Reply:
    """Send one GET to the address itself, with the vhost's name in Host (and as the TLS server name)."""
    connection = http.client.HTTPConnection("localhost", timeout=timeout_s)
    headers = {"Host": question.host, "User-Agent": "kirsch-gate", "Connection": "close"}
    try:
        connection.sock = _open(question, timeout_s)
        if question.protocol == "uwsgi":
            connection.sock.sendall(uwsgi.ask(question.path, headers))
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
        else:
            connection.request("GET", question.path, headers=headers)
            answer = connection.getresponse()
        return Reply(answer.status, answer.read(BODY_SHOWN_BYTES).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        return Reply(0, str(error) or type(error).__name__)
    finally:
        connection.close()


def _public(stack: Stack, leave_out: Collection[str] = ()) -> Iterator[Question]:
    for vhost in stack.vhosts.values():
        if vhost.name in leave_out:
            continue
        for listen in vhost.listen:
            host = vhost.served_names[0].replace("*.", "any.") if vhost.names else listen.endpoint
            for app in vhost.apps:
                mount = stack.apps[app].mount
                yield Question(listen, host, mount if mount.endswith("/") else f"{mount}/")


def _of_workers(stack: Stack, status: Status, paths: HostPaths) -> Iterator[Question]:
    paths_of = {app.name: app.mount if app.mount.endswith("/") else f"{app.mount}/" for app in stack.apps.values()}
    asked = {question.path: question for question in reversed(tuple(_public(stack)))}
    for pool in status.pools:
        apps = [app.name for app in stack.apps_of(pool.name)]
        for worker in pool.workers:
            if worker.state != "ready" or worker.pid is None:
                continue
            seat = int(worker.name.rpartition(".")[2])
            place = paths.worker_socket(pool.name, seat, worker.pid)
            for path in (paths_of[app] for app in apps if paths_of[app] in asked):
                protocol = stack.pools[pool.name].protocol
                yield Question(asked[path].listen, asked[path].host, path, worker.name, place, protocol)


def _open(question: Question, timeout_s: float) -> socket.socket:
    if question.socket is not None:
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        local.settimeout(timeout_s)
        try:
            local.connect(question.socket)
        except OSError:
            local.close()
            raise
        return local
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(question.listen.address, question.listen.address)
    plain = socket.create_connection((address, question.listen.port), timeout=timeout_s)
    if question.listen.proxy:
        plain.sendall(b"PROXY UNKNOWN\r\n")  # without a PROXY header nginx ends the connection
    if not question.listen.tls:
        return plain
    # The gate asks whether the release answers; whether its certificate fits this name is the browser's question.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=question.host.partition(":")[0])
