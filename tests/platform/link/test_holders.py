"""Holders of leases in processes of their own, which are stopped and killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

Wait = Callable[..., None]

HOLDER = """
import sys
from cherrypy.process.wspbus import Bus
from kirsch.link import wire
from kirsch.link.cluster import Cluster
from kirsch.link.lines import SocketLine
cluster = Cluster(Bus(), wire.Member(name="web.9", pool="web", state="ready"), SocketLine(sys.argv[1]))
cluster.subscribe()
cluster.join(30)
lease = cluster.take("job", ttl_s=2.0)
print(lease and lease.token, flush=True)
for line in sys.stdin:
    print(lease.is_held, flush=True)
"""


class Holder:
    """A process that holds the lease ``job``, for two seconds at a time."""

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.token = int(self.read())

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def is_held(self) -> bool:
        """Ask it what it believes."""
        assert self.process.stdin is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return self.read() == "True"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def take(member: Any, eventually: Wait) -> Any:
    """Take the lease as soon as it can be had."""
    taken: list[Any] = []
    eventually(lambda: taken or taken.append(member.take("job")) or taken[-1] or taken.clear())
    return taken[0]


def test_who_was_stopped_knows_that_it_is_over(world: Any, eventually: Wait) -> None:
    """Renewed while it runs; stopped, it is somebody else's after its time, with a higher token, and when the process
    goes on it does not believe in it any more.
    """
    member = world.join("web.1")
    holder = Holder(world.socket(world.hosts[-1]))
    try:
        entry = member.take("job")
        assert holder.is_held()
        holder.process.send_signal(signal.SIGSTOP)
        lease = take(member, eventually)
        held = lease.is_held
        holder.process.send_signal(signal.SIGCONT)
        believes = holder.is_held()
    finally:
        holder.end()

    assert entry is None
    assert held
    assert not believes
    assert lease.token > holder.token


def test_who_was_killed_holds_nothing(world: Any, eventually: Wait) -> None:
    """Its lease goes on to the next."""
    member = world.join("web.1")
    holder = Holder(world.socket(world.hosts[-1]))
    refused = member.take("job")
    holder.end()
    lease = take(member, eventually)

    assert refused is None
    assert lease.token > holder.token
