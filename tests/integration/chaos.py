"""What breaks a stack, one after the other, under the eyes of clients that check every answer; shared by the suite.

A scene gets a host with a real nginx and clients at work, breaks something, and says what it saw. How many requests
may fail is part of the scene.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from kirsch.errors import ControlError
from kirsch.spec import Bytes
from kirsch.spec.pool import Rolling

from .chaos_report import Result
from .loadgen import Shot
from .lost import APP, Lost, locate

CLIENTS = 8
FORM = "application/x-www-form-urlencoded"


@dataclass
class Play:
    """A scene under way: the host, its clients, and how much of everything."""

    host: Any
    load: Any
    engine: str
    times: int
    """How often to do it: once in the short form."""
    allowed: int = 0
    slow_s: float = 0.0
    """How long the handlers of half of the clients take."""
    kills: int = 0
    lost: Lost = field(default_factory=Lost)
    held: dict[int, set[str]] = field(default_factory=dict)
    """The slots under which nginx may know a worker, by process id: all that it has had, as far as was looked at."""

    def aim(self, client: int, index: int) -> Any:
        """Return a client's next request: half of them POST; two of either may be slow."""
        value = f"{client}-{index}"
        pause = f"&s={self.slow_s}" if self.slow_s and client < CLIENTS // 2 else ""
        answer = f"echo {value}".encode()
        if client % 2:
            return Shot("GET", f"/echo?id={value}&value={value}{pause}", b"", 200, answer)
        return Shot("POST", f"/echo?id={value}{pause}", f"value={value}".encode(), 200, answer, FORM)

    def state(self, release: str = "r1", **keys: Any) -> Any:
        """Describe the stack of the suite: two workers behind four slots, on the engine in question."""
        os.makedirs(self.host.paths.shared, exist_ok=True)
        if not os.path.isdir(f"{self.host.paths.releases}/{release}"):
            self.host.release(release, APP)
        return self.host.state(release, **{"slots": 4, "engine": self.engine} | keys)

    def settle(self, count: int = 2) -> dict[str, Any]:
        """Wait until *count* workers serve and nobody comes or goes."""
        found: dict[str, Any] = self.host.wait_until_ready(count, nginx=True)
        return found

    def pids(self) -> dict[str, int]:
        """Process ids of those who serve."""
        return {worker["name"]: worker["pid"] for worker in self.host.workers() if worker["state"] == "ready"}

    def settle_quickly(self) -> dict[str, int]:
        """Wait until all seats have somebody who serves; return their process ids."""
        self.host.wait_for(lambda status: len(self.pids()) == status["pools"][0]["wanted"])
        return self.pids()

    def events(self) -> list[dict[str, Any]]:
        """What happened, as the status page tells it."""
        with urllib.request.urlopen(f"{self.host.status()['admin']}status.json", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["events"]
        return found

    def watch_slots(self, for_s: float) -> None:
        """Look for some time at who has which slot."""
        deadline = time.monotonic() + for_s
        while True:
            for slot, socket in self.host.slot_targets().items():
                if found := re.search(r"\.([0-9]+)\.sock$", socket):
                    self.held.setdefault(int(found[1]), set()).add(slot)
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)

    def wait_for_death(self, pid: int) -> dict[str, Any]:
        """Wait until the supervisor has noticed the end of a worker; return what it says of it."""
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            for event in self.events():
                if event["kind"] == "died" and event["pid"] == pid:
                    return event
            time.sleep(0.02)
        raise TimeoutError(f"the end of {pid} was not noticed: {self.events()[-5:]}")

    def serve(self, count: int = 150) -> None:
        """Let so many requests be answered."""
        self.load.wait_for(count, timeout_s=60.0)


Scene = Callable[[Play], None]


def rolling(play: Play) -> None:
    """Replace everybody."""
    for number in range(play.times):
        play.host.write(play.state(f"r{number + 2}"))
        play.host.control.call("roll")
        play.serve()
    play.settle()


def scaling(play: Play) -> None:
    """Two, four, one, two workers; no reload of nginx."""
    generation = play.settle()["nginx"]["generation"]
    for count in (4, 1, 2) * play.times:
        play.host.control.call("scale", pools={"web": count})
        play.serve()
    assert play.settle()["nginx"]["generation"] == generation


def pausing(play: Play) -> None:
    """Nobody is let through for a moment; then everybody is."""
    for _ in range(play.times):
        play.host.control.call("pause")
        play.host.wait_for(lambda status: status["pools"][0]["held"] >= CLIENTS // 2)
        play.host.control.call("resume")
        play.serve()


def reconfiguring(play: Play) -> None:
    """Another configuration of nginx: other slots, so that it has to reload."""
    for number in range(play.times):
        play.host.write(play.state(slots=3 + number % 2))
        play.host.control.call("apply")
        play.serve()
    play.settle()


def upgrading(play: Play) -> None:
    """The supervisor changes itself for another version."""
    before = play.pids()
    for _ in range(play.times):
        started = play.host.status()["started"]
        play.host.control.call("upgrade")
        play.host.wait_for(lambda status, last=started: status["started"] > last)
        play.serve()
    assert play.pids() == before


def recycling(play: Play) -> None:
    """Every worker has too much memory, one after the other."""
    play.host.write(play.state(memory_soft=Bytes.parse("8MiB")))
    play.host.control.call("apply")
    before = set(play.settle_quickly().values())
    play.host.wait_for(lambda status: len(now := set(play.pids().values())) == 2 and not now & before, 60)
    play.serve()


def killing(play: Play) -> None:
    """SIGKILL of a worker each second: what nginx had handed to it may be lost, if it must not be sent twice."""
    play.slow_s = 0.01
    kills = max(3, 20 * (play.times > 1))
    for number in range(kills):
        pids = play.settle_quickly()
        _kill(play, min(pids.values()))
        play.watch_slots(1.0)
        if number % 5 == 4:
            play.host.control.call("roll")  # which forgives: a seat whose workers die all the time is tried less often
    play.serve()
    play.host.control.call("roll")
    play.settle()
    # of each client that POSTs one under each of the worker's two slots
    play.allowed = kills * CLIENTS


def _kill(play: Play, pid: int) -> None:
    """Kill a worker; find out where every request was that is lost, and that there is no other."""
    play.watch_slots(0.0)
    seen = len(play.load.tally.lost)
    os.kill(pid, signal.SIGKILL)
    death = play.wait_for_death(pid)
    play.serve(100)
    where = locate(play.host, pid, play.held[pid], play.load.tally.lost[seen:])
    play.kills += 1
    play.lost += where
    # the scoreboard says the same: it outlives the worker
    assert where.inside <= len(death["lost"]), (where, death)


def freezing(play: Play) -> None:
    """SIGSTOP of a worker: its sibling serves on, it is found out and replaced; what was inside of it is lost."""
    before = play.pids()
    os.kill(before["web.1"], signal.SIGSTOP)
    answers = play.load.tally.headers_seen
    seen = answers["web.1 r1"]
    play.serve(300)
    assert answers["web.1 r1"] <= seen + CLIENTS  # those that were on their way
    play.host.wait_for(lambda status: play.pids().get("web.1") not in {None, before["web.1"]}, 60)
    play.serve()
    assert play.pids()["web.2"] == before["web.2"], play.events()
    play.allowed = CLIENTS


def orphaning(play: Play) -> None:
    """SIGKILL of the supervisor: nobody notices, and the next one adopts everybody."""
    before = play.pids()
    for _ in range(play.times):
        play.host.process.kill()
        play.host.process.wait()
        play.serve()
        play.host.start(nginx=True)
        play.settle()
        play.serve()
    assert play.pids() == before


BROKEN = {
    "import": "import nothing_at_all\n",
    "readiness": "cherrypy.engine.subscribe('start', lambda: os._exit(6), 99)\n",
    "after 3 s": "threading.Timer(3.0, lambda: os._exit(7)).start()\n",
}


def breaking(play: Play) -> None:
    """New releases that break at import, before they are ready, and three seconds after: the old one serves on."""
    before = play.pids()
    allowed = 0
    for how, source in BROKEN.items():
        name = f"broken-{how.replace(' ', '-')}"
        folder = play.host.release(name, APP)
        with open(f"{folder}/shop.py", "a") as file:
            file.write(source)
        play.host.write(play.state(name, roll=Rolling(bake_s=6.0)))
        with pytest.raises(ControlError) as caught:
            play.host.control.call("roll")
        assert caught.value.kind == "roll_failed", how
        play.serve()
        assert play.pids() == before, how
        # those that die after three seconds serve until then: what they are inside of is lost
        allowed = CLIENTS * 2 if how.startswith("after") else 0
    play.allowed = allowed


def _starve(play: Play, which: int, limit: int, words: str) -> None:
    """Kill a worker while the supervisor may not have what it needs for another; then let it have that again."""
    pid = play.host.process.pid
    before = resource.prlimit(pid, which)
    victim = play.settle()["pools"][0]["workers"][0]["pid"]
    resource.prlimit(pid, which, (limit, before[1]))
    try:
        os.kill(victim, signal.SIGKILL)
        play.serve(300)
        time.sleep(2.0)  # the supervisor tries again, in vain
    finally:
        resource.prlimit(pid, which, before)
    play.settle()
    play.serve()
    told = [str(event) for event in play.events() if event["kind"] == "failed"]
    assert any(words in text for text in told), told
    play.allowed = CLIENTS


def no_disk(play: Play) -> None:
    """Not an octet can be written: the sibling serves, the state is told, and a successor comes when there is room."""
    _starve(play, resource.RLIMIT_FSIZE, 0, "File too large")


#: What an interpreter prints that finds no memory: in its own heap, for a shared object, or asked of the kernel.
NO_MEMORY = ("MemoryError", "failed to map segment", "Cannot allocate memory")


def no_memory(play: Play) -> None:
    """A new process gets no more memory than a few pages, and the supervisor none that it does not have already."""
    pid = play.host.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    victim = play.settle()["pools"][0]["workers"][0]["pid"]
    resource.prlimit(pid, resource.RLIMIT_AS, (16 * 2**20, before[1]))
    try:
        os.kill(victim, signal.SIGKILL)
        play.serve(300)
        # where it runs out depends on how large its environment is; the reason stands in what `kirsch status` shows
        play.host.wait_for(
            lambda status: any(
                fault.startswith("web.1: ") and any(words in fault for words in NO_MEMORY)
                for fault in status["degraded"]
            )
        )
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, before)
    play.settle()
    play.serve()
    play.allowed = CLIENTS


def no_descriptors(play: Play) -> None:
    """The supervisor cannot open another file."""
    taken = len(os.listdir(f"/proc/{play.host.process.pid}/fd"))
    _starve(play, resource.RLIMIT_NOFILE, taken + 1, "Too many open files")


SCENES: dict[str, Scene] = {
    "rolling replacement": rolling,
    "scale up and down": scaling,
    "pause and resume": pausing,
    "nginx configuration": reconfiguring,
    "supervisor upgrade": upgrading,
    "recycle by memory": recycling,
    "SIGKILL of workers": killing,
    "SIGSTOP of a worker": freezing,
    "SIGKILL of the supervisor": orphaning,
    "broken releases": breaking,
    "full disk": no_disk,
    "no file descriptors": no_descriptors,
    "no memory for a process": no_memory,
}


def perform(play: Play, name: str) -> Result:
    """Run one scene under load; return what the clients saw."""
    tally = play.load.tally
    play.load.wait_for(300, timeout_s=60.0)
    quiet = tally.percentile_ms(0.99)
    first = len(tally.latencies_s)
    began = time.monotonic()
    SCENES[name](play)
    took_s = time.monotonic() - began
    ordered = sorted(tally.latencies_s[first:])
    p99 = 1000 * ordered[int(0.99 * (len(ordered) - 1))] if ordered else 0.0
    return Result(
        play.engine,
        name,
        tally.sent,
        tally.failed,
        play.allowed,
        quiet,
        p99,
        took_s,
        dict(tally.failures),
        play.kills,
        play.lost,
    )
