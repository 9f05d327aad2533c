"""What the bus costs: broadcasts with receipts, messages a second, and what requests pay that do not use it.

    python tests/bench/bus.py [--members 50] [--seconds 5]    one host: a hub, and so many workers, each a process
    python tests/bench/bus.py --redis                         three hosts in network namespaces, which meet in a Redis
    python tests/bench/bus.py --cost                          a request without the bus, beside one with it

Prints one JSON object, and for each promise of docs/bus.md whether it is kept; ends with 1 if one is not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from buscost import measure_cost
from busnetwork import Network, Unavailable

from cherrypy.process.wspbus import Bus
from kirsch.link import wire
from kirsch.link.cluster import Cluster
from kirsch.link.hub import Hub
from kirsch.link.hubserver import HubServer
from kirsch.link.lines import SocketLine
from kirsch.link.memory import now
from kirsch.link.redis import RedisUplink

BROADCAST_MS = 20.0
OVER_REDIS_MS = 30.0
MESSAGES_PER_S = 2000
HOSTS = 3
START_S = 60.0


def be_member(path: str, name: str) -> None:
    """Be one worker: an engine, a channel, and a seat on the bus, until the parent ends."""
    cluster = Cluster(Bus(), wire.Member(name=name, pool="web", state="ready"), SocketLine(path))
    cluster.subscribe_to("x", lambda *args: None)
    cluster.subscribe()
    signal.sigwait({signal.SIGTERM})
    os._exit(0)


async def be_hub(number: int, path: str, url: str, members: int) -> None:
    """Be the hub of one host, until the standard input ends; say when everybody is there."""
    hub = Hub(f"host{number}", now=now, wall=time.time)
    server = HubServer(hub, path, lambda pid, uid, member: member)
    await server.start()
    if url:
        hub.uplink = uplink = RedisUplink(hub, url, "bench", server.watch_time)
        uplink.start()
    while len([member for member in hub.local if member.pool == "web"]) < members or hub.degraded:
        await asyncio.sleep(0.01)
    print("here", flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def be_host(number: int, path: str, url: str, members: int, first: int) -> None:
    """Be a machine: workers, each a process, and in this one the hub."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    gc.freeze()  # the workers share what is there
    children = []
    for worker in range(first, first + members):
        child = os.fork()
        if not child:
            be_member(path, f"web.{worker}")
        children.append(child)
    try:
        asyncio.run(be_hub(number, path, url, members))
    finally:
        for child in children:
            os.kill(child, signal.SIGTERM)
        for child in children:
            os.waitpid(child, 0)


@contextlib.contextmanager
def hosts(folder: str, members: int, network: Network | None = None) -> Iterator[list[str]]:
    """Start one host, or one in each namespace of *network*; yield where their hubs listen."""
    count = HOSTS if network is not None else 1
    shares = [members // count + (number < members % count) for number in range(count)]
    paths = [f"{folder}/{number}.sock" for number in range(count)]
    running = []
    try:
        for number, path in enumerate(paths):
            words = [str(number), path, network.url if network else "", str(shares[number]), str(sum(shares[:number]))]
            argv = [sys.executable, os.path.abspath(__file__), "--host", *words]
            inside = network.inside(number) if network is not None else []
            running.append(subprocess.Popen([*inside, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for process in running:
            assert process.stdout is not None
            if process.stdout.readline() != b"here\n":
                raise RuntimeError("a host did not start")
        yield paths
    finally:
        for process in running:
            process.communicate()


def join(path: str, members: int) -> Cluster:
    """Be the worker that sends; it knows all others, and they hear it."""
    sender = Cluster(Bus(), wire.Member(name="sender", pool="bench", state="ready"), SocketLine(path))
    sender.subscribe()
    sender.join(START_S)
    deadline = time.monotonic() + START_S
    while sender.publish("x").total != members:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all are there: {sender.publish('x')}")
        time.sleep(0.1)
    return sender


def broadcast(sender: Cluster, members: int, seconds: float) -> dict[str, Any]:
    """Send to everybody, one after the other, with all receipts."""
    latencies, whole = [], 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        receipt = sender.publish("x", 1).wait()
        latencies.append(time.perf_counter() - began)
        whole += len(receipt.delivered) == members
        time.sleep(0.005)
    latencies.sort()
    return {
        "broadcasts": len(latencies),
        "whole": whole,
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 2),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 2),
    }


def flood(sender: Cluster, members: int, seconds: float) -> dict[str, Any]:
    """Send small messages to one after the other, as fast as it goes."""
    began, receipts = time.perf_counter(), []
    while time.perf_counter() < began + seconds:
        receipts.append(sender.publish("x", len(receipts), to=[f"web.{len(receipts) % members}"], timeout_s=30))
    lost = sum(len(receipt.delivered) != 1 for receipt in receipts)
    took = time.perf_counter() - began
    return {"messages": len(receipts), "messages_per_s": round(len(receipts) / took), "lost": lost}


def measure(members: int, seconds: float, network: Network | None = None) -> dict[str, Any]:
    """Measure with so many members."""
    with tempfile.TemporaryDirectory(prefix="kb", dir="/tmp") as folder, hosts(folder, members, network) as paths:
        sender = join(paths[0], members)
        found = {"members": members, "hosts": len(paths)}
        found |= broadcast(sender, members, seconds) | flood(sender, members, seconds)
        sender.leave()
    return found | {"load": round(os.getloadavg()[0], 1)}


def judge(found: dict[str, Any]) -> list[tuple[str, bool]]:
    """Return each promise, and whether it is kept; how many messages a second Redis carries is none."""
    rate, is_one_host = found["messages_per_s"], found["hosts"] == 1
    limit_ms = BROADCAST_MS if is_one_host else OVER_REDIS_MS
    promises = [
        (f"p99 of broadcasts: {found['p99_ms']} ms, promised {limit_ms:g}", found["p99_ms"] <= limit_ms),
        (f"{found['whole']} of {found['broadcasts']} reached everybody", found["whole"] == found["broadcasts"]),
        (f"{found['lost']} of {found['messages']} lost", found["lost"] == 0),
    ]
    if is_one_host:
        promises.append((f"{rate} small messages/s, promised {MESSAGES_PER_S}", rate >= MESSAGES_PER_S))
    return promises


def run(options: argparse.Namespace) -> list[tuple[str, bool]]:
    """Measure what is asked for, and print it."""
    if options.cost:
        found = measure_cost()
        print(json.dumps(found))
        return [
            (f"a request has as many opcodes as without the bus: {found['with']}", found["without"] == found["with"]),
            (f"its threads woke {found['wakes']} times in {found['requests']} requests", found["wakes"] == 0),
        ]
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network(HOSTS)) if options.redis else None
        found = measure(options.members, options.seconds, network)
    print(json.dumps(found))
    return judge(found)


def main() -> None:
    """Measure, print, and judge."""
    if sys.argv[1:2] == ["--host"]:
        number, path, url, members, first = sys.argv[2:]
        be_host(int(number), path, url, int(members), int(first))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--redis", action="store_true", help="three hosts in network namespaces; needs root")
    kind.add_argument("--cost", action="store_true", help="what a request pays that does not use the bus")
    try:
        promises = run(parser.parse_args())
    except Unavailable as error:
        sys.exit(f"cannot be measured here: {error}")
    for text, is_kept in promises:
        print(f"{'kept  ' if is_kept else 'BROKEN'}  {text}")
    sys.exit(not all(is_kept for _, is_kept in promises))


if __name__ == "__main__":
    main()
