"""The health gate: a release counts once every mount of every vhost answers through nginx, at the address that the
public uses.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kirsch.errors import GateFailed
from kirsch.spec import Listen, Stack

PATIENCE_S = 10.0
RETRY_EVERY_S = 0.1
BODY_SHOWN_BYTES = 600


@dataclass(frozen=True)
class Question:
    """One request of the gate: where to connect, which Host to name, which path to ask for."""

    listen: Listen
    host: str
    path: str

    @property
    def url(self) -> str:
        """How the operator would write it."""
        return self.listen.url.rstrip("/") + self.path


@dataclass(frozen=True)
class Reply:
    """What came back: a status and the beginning of the body, or status 0 and why nothing came."""

    status: int
    body: str

    @property
    def is_good(self) -> bool:
        """A worker answered and did not fail: a page that asks for a login or is not there is the application's own
        affair.
        """
        return 100 <= self.status < 500


def questions(stack: Stack) -> tuple[Question, ...]:
    """Return what the gate asks of *stack*: for each vhost each of its apps' mounts, on each of its addresses."""
    return tuple(_questions(stack))


def pass_gate(stack: Stack, *, ask: Callable[[Question], Reply] | None = None, patience_s: float = PATIENCE_S) -> int:
    """Ask every question until its answer is good; return how many there were.

    Raises:
        GateFailed: one is still not good after *patience_s*.
    """
    put = ask or put_question
    asked = questions(stack)
    for question in asked:
        deadline = time.monotonic() + patience_s
        while not (reply := put(question)).is_good:
            if time.monotonic() > deadline:
                what = f"answers {reply.status}" if reply.status else "does not answer"
                raise GateFailed(f"{question.url} (Host: {question.host}) {what}", step="health", output=reply.body)
            time.sleep(RETRY_EVERY_S)
    return len(asked)


def put_question(question: Question, *, timeout_s: float = 10.0) -> Reply:
    """Send one GET to the address itself, with the vhost's name in Host (and as the TLS server name)."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(question.listen.address, question.listen.address)
    connection = http.client.HTTPConnection(address, question.listen.port, timeout=timeout_s)
    try:
        connection.sock = _open(address, question, timeout_s)
        connection.request(
            "GET", question.path, headers={"Host": question.host, "User-Agent": "kirsch-gate", "Connection": "close"}
        )
        answer = connection.getresponse()
        return Reply(answer.status, answer.read(BODY_SHOWN_BYTES).decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        return Reply(0, str(error) or type(error).__name__)
    finally:
        connection.close()


def _questions(stack: Stack) -> Iterator[Question]:
    for vhost in stack.vhosts.values():
        for listen in vhost.listen:
            host = vhost.names[0].replace("*.", "any.") if vhost.names else listen.endpoint
            for app in vhost.apps:
                mount = stack.apps[app].mount
                yield Question(listen, host, mount if mount.endswith("/") else f"{mount}/")


def _open(address: str, question: Question, timeout_s: float) -> socket.socket:
    plain = socket.create_connection((address, question.listen.port), timeout=timeout_s)
    if not question.listen.tls:
        return plain
    # The gate asks whether the release answers: whether its certificate is good for this name is the browser's
    # question.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=question.host.partition(":")[0])
