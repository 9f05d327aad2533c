"""Forgeries sent through the public vhosts of a stack that runs, and what its applications made of them."""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import msgspec

from cherrypy.http.forwarded import Trust
from kirsch.check.forgeries import FORGERIES, REFUSALS, Forgery, Outcome, judge, request_octets
from kirsch.check.reach import connect_to, source_of
from kirsch.errors import ForgeryBelieved
from kirsch.link.belief import PROBE_PATH, Belief, make_token, token_file
from kirsch.spec import HostPaths, Listen, Stack

TIMEOUT_S = 10.0
PAUSES_S = (0.0, 0.1, 0.4)


@dataclass(frozen=True, slots=True)
class Door:
    """One way into an app: an address of a vhost, the name to ask for, the app's mount."""

    vhost: str
    app: str
    listen: Listen
    host: str
    mount: str

    @property
    def scheme(self) -> str:
        """What the client's connection speaks."""
        return "https" if self.listen.tls else "http"

    @property
    def url(self) -> str:
        """How the operator would write it."""
        return f"{self.scheme}://{self.host}{self.mount}"


@dataclass(frozen=True, slots=True)
class Probing:
    """What was found at one door."""

    door: Door
    truth: Belief | None
    """What an honest request is taken for."""
    outcomes: tuple[Outcome, ...] = ()
    why_not: str = ""
    """Why nothing could be asked here."""

    @property
    def is_good(self) -> bool:
        """True when no forgery was believed."""
        return all(outcome.is_good for outcome in self.outcomes)


def require_honesty(probings: Iterable[Probing]) -> int:
    """Return how many forgeries were sent in vain.

    Raises:
        ForgeryBelieved: one was not.
    """
    found = list(probings)
    lines = [
        f"{probing.door.url}: {one.forgery.sent}: {one.verdict} {', '.join(one.believed or one.passed)}"
        for probing in found
        for one in probing.outcomes
        if not one.is_good
    ]
    if lines:
        raise ForgeryBelieved(lines)
    return sum(len(probing.outcomes) for probing in found)


def doors_of(stack: Stack) -> Iterator[Door]:
    """Every way into every app, but for vhosts under maintenance."""
    for vhost in stack.vhosts.values():
        if vhost.maintenance:
            continue
        for listen in vhost.listen:
            host = vhost.names[0].replace("*.", "any.") if vhost.names else listen.endpoint
            usual = 443 if listen.tls else 80
            if vhost.names and listen.port != usual:
                host = f"{host}:{listen.port}"
            for app in vhost.apps:
                yield Door(vhost.name, app, listen, host, stack.apps[app].mount)


def probe_stack(stack: Stack, paths: HostPaths) -> list[Probing]:
    """Send every forgery through every door of the stack that runs with *paths*.

    Raises:
        OSError: the run directory cannot be written: this is not the operator.
    """
    with asking(paths) as token:
        return [
            Probing(door, None, why_not=why) if (why := why_not_asked(stack, door)) else probe_door(door, token)
            for door in doors_of(stack)
        ]


def why_not_asked(stack: Stack, door: Door) -> str:
    """Why what this host sends through *door* would prove nothing; empty where it proves something."""
    if door.listen.proxy:
        return "connections begin with a PROXY header here, which only the proxy in front may send"
    if source_of(door.listen) in Trust(stack.vhosts[door.vhost].trusted_proxies):
        return "this host is one of the vhost's trusted_proxies, whose word counts"
    return ""


@contextlib.contextmanager
def asking(paths: HostPaths) -> Iterator[str]:
    """Give a token that the workers of *paths* answer to, until the end of the block.

    Raises:
        OSError: the run directory cannot be written.
    """
    token = make_token()
    file = Path(str(token_file(paths.workers, token)))
    file.touch(mode=0o644, exist_ok=False)
    file.chmod(0o644)
    try:
        yield token
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(file)


def probe_door(door: Door, token: str) -> Probing:
    """Send every forgery through one door."""
    path = f"{door.mount.rstrip('/')}{PROBE_PATH}?token={token}"
    truth = ask(door, None, path)
    if isinstance(truth, int):
        why = f"the honest request is answered {truth}" if truth else "nobody answers"
        return Probing(door, None, why_not=why)
    return Probing(door, truth, tuple(judge(one, truth, insist(door, one, path)) for one in FORGERIES))


def insist(door: Door, forgery: Forgery, path: str) -> Belief | int:
    """Ask until it is clear what became of *forgery*: a worker that leaves may not know the question."""
    for pause_s in (*PAUSES_S, None):
        answer = ask(door, forgery, path)
        if isinstance(answer, Belief) or (answer in REFUSALS and answer != HTTPStatus.NOT_FOUND) or pause_s is None:
            break
        time.sleep(pause_s)
    return answer


def ask(door: Door, forgery: Forgery | None, path: str) -> Belief | int:
    """Return what the app believed; where it was not the app that answered, the status, 0 for no answer."""
    try:
        with connect_to(door.listen, door.host, TIMEOUT_S) as line:
            line.sendall(request_octets(forgery, path, door.host, door.scheme))
            answer = http.client.HTTPResponse(line)
            answer.begin()
            body = answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    if answer.status != HTTPStatus.OK:
        return answer.status
    try:
        return msgspec.json.decode(body, type=Belief)
    except msgspec.MsgspecError:
        return answer.status
