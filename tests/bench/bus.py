"""What the bus costs: broadcasts with receipts, and messages per second, with light members in processes of their own.

    python tests/bench/bus.py [--members 50] [--seconds 5] [--redis]

Prints one JSON object: latencies in milliseconds, messages per second, and how many were lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from cherrypy.process.wspbus import Bus
from kirsch.link import wire
from kirsch.link.cluster import Cluster
from kirsch.link.hub import Hub
from kirsch.link.hubserver import HubServer
from kirsch.link.lines import SocketLine
from kirsch.link.memory import now
from kirsch.link.redis import RedisUplink

PROCESSES = 5
"""The members live in so many processes, light ones beside each other."""


def run_members(path: str, first: int, count: int) -> None:
    """Be *count* members, until the standard input ends."""
    members = []
    for number in range(first, first + count):
        member = wire.Member(name=f"web.{number}", pool="web", state="ready")
        cluster = Cluster(Bus(), member, SocketLine(path))
        cluster.subscribe_to("x", lambda *args: None)
        cluster.subscribe()
        cluster.join(30)
        members.append(cluster)
    print("here", flush=True)
    sys.stdin.read()
    for cluster in members:
        cluster.leave()


class Hosts:
    """Hubs in one loop of this process: one, or three that meet in Redis."""

    def __init__(self, folder: str, count: int, url: str | None) -> None:
        self.folder, self.count, self.url = folder, count, url
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.servers: list[HubServer] = []
        asyncio.run_coroutine_threadsafe(self.start(), self.loop).result(30)

    def path(self, number: int) -> str:
        """Where the hub of a host listens."""
        return f"{self.folder}/{number % self.count}.sock"

    async def start(self) -> None:
        """Start them all."""
        for number in range(self.count):
            hub = Hub(f"host{number}", now=now, wall=time.time)
            server = HubServer(hub, self.path(number), lambda pid, uid, member: member)
            await server.start()
            if self.url is not None:
                hub.uplink = uplink = RedisUplink(hub, self.url, "bench", server.watch_time)
                uplink.start()
            self.servers.append(server)


def measure(members: int, seconds: float, url: str | None = None, hosts: int = 1) -> dict[str, Any]:
    """Measure with so many members on so many hosts."""
    with tempfile.TemporaryDirectory(prefix="kb", dir="/tmp") as folder:
        site = Hosts(folder, hosts, url)
        share = [members // PROCESSES + (number < members % PROCESSES) for number in range(PROCESSES)]
        children = [
            subprocess.Popen(
                [sys.executable, __file__, "--be", site.path(number), str(sum(share[:number])), str(count)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for number, count in enumerate(share)
        ]
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        sender = Cluster(Bus(), wire.Member(name="sender", pool="bench", state="ready"), SocketLine(site.path(0)))
        sender.subscribe()
        sender.join(30)
        deadline = time.monotonic() + 30
        while sender.publish("x").total != members and time.monotonic() < deadline:
            time.sleep(0.1)
        latencies, whole = [], 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            receipt = sender.publish("x", 1).wait()
            latencies.append(time.perf_counter() - began)
            whole += len(receipt.delivered) == members
            time.sleep(0.005)
        began, receipts = time.perf_counter(), []
        while time.perf_counter() < began + seconds:
            receipts.append(sender.publish("x", len(receipts), to=[f"web.{len(receipts) % members}"], timeout_s=30))
        lost = sum(len(receipt.delivered) != 1 for receipt in receipts)
        took = time.perf_counter() - began
        sender.leave()
        for child in children:
            child.communicate()
    latencies.sort()
    return {
        "members": members,
        "hosts": hosts,
        "broadcasts": len(latencies),
        "whole": whole,
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 2),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 2),
        "messages": len(receipts),
        "messages_per_s": round(len(receipts) / took),
        "lost": lost,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--be"]:
        run_members(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--redis", action="store_true", help="three hosts that meet in a Redis of the bench's own")
    options = parser.parse_args()
    if not options.redis:
        print(json.dumps(measure(options.members, options.seconds)))
        return
    binary = shutil.which("redis-server")
    if binary is None:
        sys.exit("redis-server is not installed")
    with tempfile.TemporaryDirectory(prefix="kr", dir="/tmp") as folder:
        server = subprocess.Popen(
            [binary, "--port", "0", "--unixsocket", f"{folder}/s", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            print(json.dumps(measure(options.members, options.seconds, f"unix://{folder}/s", 3)))
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
