"""Is a host fit to be deployed to? The facts of all hosts are judged at once, before anything is changed on any."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kirsch.errors import DeployError, HostUnreachable
from kirsch.release.hosts import facts as script
from kirsch.release.hosts.ssh import Ssh
from kirsch.spec import Host, Listen

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 300 * 1024 * 1024
"""Two environments and a few releases."""
LEAST_FREE_FILES = 20_000
MOST_SKEW_S = 5.0
"""How far the clocks of two hosts may be apart: sessions, leases and logs go by them."""
ANSWER_TIMEOUT_S = 60.0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `facts.look` found on a host."""

    version: tuple[int, int, int]
    tag: str
    """Which compiled packages fit: "cpython-311-x86_64"."""
    python: str
    has_venv: bool
    has_pip: bool
    user: int
    host: str
    clock: float
    free_bytes: int
    free_files: int | None
    folder: str
    """The root, or the nearest folder above it that is there."""
    writable: bool
    nginx: str | None
    runs: bool
    """Does a supervisor of this root answer?"""
    taken: list[tuple[str, int]]
    has: list[str]
    """The names under ROOT/kit: what was brought there before."""
    current: str | None
    stack: str | None
    skew_s: float = 0.0


@dataclass(frozen=True)
class Trouble:
    """One reason why a host cannot be deployed to, and what helps."""

    host: str
    what: str

    def __str__(self) -> str:
        return f"{self.host}: {self.what}"


class PreflightFailed(DeployError):
    """Hosts are not fit; nothing was changed anywhere."""

    def __init__(self, troubles: Sequence[Trouble]) -> None:
        self.troubles = tuple(troubles)
        words = "\n".join(f"  {trouble}" for trouble in self.troubles)
        hosts = dict.fromkeys(trouble.host for trouble in self.troubles)
        super().__init__(f"not fit for a deploy: {', '.join(hosts)}; nothing was changed\n{words}", step="preflight")


def our_tag() -> str:
    """Return which compiled packages fit this Python on this machine."""
    return f"{sys.implementation.cache_tag}-{platform.machine()}"


def look_at(ssh: Ssh, host: Host, listens: Sequence[Listen]) -> Facts:
    """Have the host's Python say what the host is like.

    Raises:
        HostUnreachable: the connection was lost.
        DeployError: there is no Python, or it is none that can say so much.
    """
    asked = {"root": host.root, "ports": [(one.address, one.port) for one in listens]}
    python = host.python or "python3"
    source = Path(script.__file__).read_bytes()
    before = time.time()
    ran = ssh.run([python, "-I", "-", json.dumps(asked)], stdin=source, timeout_s=ANSWER_TIMEOUT_S)
    after = time.time()
    if ran.status in {126, 127}:
        raise DeployError(
            f"no {python} there (python = in the inventory, or install it): {ran.last_lines(1)}", host=host.name
        )
    try:
        facts = msgspec.json.decode(ran.output.strip().rpartition("\n")[2], type=Facts)
    except msgspec.DecodeError as error:
        raise DeployError(f"{python} cannot say what the host is like", host=host.name, output=ran.output) from error
    # what the answer took is no skew
    return msgspec.structs.replace(facts, skew_s=max(before - facts.clock, facts.clock - after, 0.0))


def judge(host: Host, stack: str, facts: Facts) -> list[Trouble]:
    """Return everything that keeps a deploy of *stack* from the host."""
    found = []
    if facts.version < OLDEST_PYTHON:
        version = ".".join(map(str, facts.version))
        found.append(f"{facts.python} is Python {version}; 3.11 or newer is needed: python = in the inventory")
    elif facts.tag != our_tag():
        found.append(
            f"{facts.python} is {facts.tag}, packages are brought from here for {our_tag()}: "
            "python = in the inventory, or deploy from a machine like that one"
        )
    if not facts.has_venv or not facts.has_pip:
        found.append(f"{facts.python} cannot make environments: on Debian, install python3-venv")
    if not facts.writable:
        found.append(f"user {facts.user} may not write in {facts.folder}: make {host.root} and give it to that user")
    if facts.free_bytes < LEAST_FREE_BYTES:
        free, least = (f"{size / 2**20:.0f} MiB" for size in (facts.free_bytes, LEAST_FREE_BYTES))
        found.append(f"{free} are free in {facts.folder}, {least} are needed: kirsch keeps keep_releases releases")
    if facts.free_files is not None and facts.free_files < LEAST_FREE_FILES:
        found.append(f"{facts.free_files} files may still be made in {facts.folder}, {LEAST_FREE_FILES} are needed")
    if facts.skew_s > MOST_SKEW_S:
        found.append(f"its clock is {facts.skew_s:.0f} s off from this machine's: set the clock (NTP) on one of them")
    if facts.stack not in {None, stack}:
        found.append(f'{host.root} belongs to the stack "{facts.stack}": give "{stack}" a root of its own')
    if not facts.runs:
        # a stack that runs has its ports, and says itself which
        found += [
            f"{address}:{port} cannot be bound: it is in use, or only root may have it" for address, port in facts.taken
        ]
    return [Trouble(host.name, what) for what in found]


def trouble_of(host: str, error: DeployError) -> Trouble:
    """Return an error that came instead of facts as a trouble."""
    what = f"cannot be reached: {error}" if isinstance(error, HostUnreachable) else str(error)
    return Trouble(host, what)
