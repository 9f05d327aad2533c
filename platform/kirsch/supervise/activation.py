"""Sockets that systemd has opened for the supervisor, and keeps open while none runs. Source: sd_listen_fds(3).

Whoever connects while a supervisor is started, or started again after its death, waits in the queue of the socket.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from kirsch.errors import SuperviseError
from kirsch.spec import HostPaths

FIRST = 3
"""The first descriptor that systemd passes."""
CONTROL = "control"
HOLDING = "holding-"


def take_activated(environ: MutableMapping[str, str], paths: HostPaths) -> dict[str, int]:
    """Return the descriptors that were passed to this process, by the path in RUN that each stands for.

    Their names (``FileDescriptorName=``) say what they are: ``control``, and ``holding-POOL`` where the requests of a
    pool without workers wait. The variables are taken out of *environ*: no child and no successor gets them again.

    Raises:
        SuperviseError: one has another name, or is no listening Unix socket with a path.
    """
    pid, count, names = (environ.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    numbers = range(FIRST, FIRST + int(count))
    for number in numbers:
        os.set_inheritable(number, False)
    return {
        _path_of(name, paths): _listening(number, name) for number, name in zip(numbers, names.split(":"), strict=False)
    }


def _path_of(name: str, paths: HostPaths) -> str:
    if name == CONTROL:
        return paths.control_socket
    if name.startswith(HOLDING):
        return paths.holding_socket(name.removeprefix(HOLDING))
    raise SuperviseError(f"FileDescriptorName={name}: allowed: {CONTROL}, {HOLDING}POOL")


def _listening(number: int, name: str) -> int:
    with socket.socket(fileno=os.dup(number)) as passed:
        is_ours = passed.family == socket.AF_UNIX and passed.type == socket.SOCK_STREAM
        address = passed.getsockname() if is_ours else ""
        listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not is_ours or not listens or not isinstance(address, str) or not address.startswith("/"):
        raise SuperviseError(f"socket {name} of systemd: it has to be ListenStream=/A/PATH with Accept=no")
    return number
