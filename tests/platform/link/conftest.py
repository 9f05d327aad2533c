"""Hubs that listen on real sockets, and members with engines of their own, all in this process."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from cherrypy.process.wspbus import Bus
from kirsch.link import wire
from kirsch.link.cluster import Cluster
from kirsch.link.hub import Hub
from kirsch.link.hubserver import HubServer
from kirsch.link.leases import LeaseTable
from kirsch.link.lines import SocketLine
from kirsch.link.memory import boot_id, now, recall, remember
from kirsch.link.post import Limits
from kirsch.link.redis import RedisUplink

_numbers = itertools.count()


class World:
    """Hosts with a hub each; ``join`` puts members on them in turn."""

    hosts: tuple[str, ...] = ("alpha",)

    def __init__(self, limits: Limits | None = None) -> None:
        self.folder = tempfile.mkdtemp(prefix="kb", dir="/tmp")
        self.limits = limits or Limits()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.servers: dict[str, HubServer] = {}
        self.members: list[Cluster] = []
        self.identify: Callable[[int, int, wire.Member], wire.Member] = lambda pid, uid, member: member

    def run(self, work: Any) -> Any:
        """Run a coroutine in the loop of the hubs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def socket(self, host: str) -> str:
        """Where its hub listens."""
        return f"{self.folder}/{host}.sock"

    def open(self) -> None:
        """Start all hubs."""
        for host in self.hosts:
            self.run(self.start_hub(host))

    async def start_hub(self, host: str, listening: Any = None) -> None:
        """Start a hub, which goes on where one of before has ended."""
        memory = f"{self.folder}/{host}.json"
        hub = Hub(
            host,
            now=now,
            wall=time.time,
            leases=LeaseTable(now, time.time),
            limits=self.limits,
            on_change=lambda: remember(memory, hub, boot_id()),
        )
        recall(memory, hub, boot_id())
        self.servers[host] = HubServer(hub, self.socket(host), lambda *who: self.identify(*who))
        await self.servers[host].start(listening)

    async def end_hub(self, host: str) -> None:
        """End a hub as its death would."""
        await self.servers[host].stop()

    def hub(self, host: str = "alpha") -> Hub:
        """The hub of a host."""
        return self.servers[host].hub

    def join(self, name: str, *, host: str = "", state: str = "ready", pool: str = "web") -> Cluster:
        """A member with a bus of its own."""
        host = host or self.hosts[len(self.members) % len(self.hosts)]
        bus = Bus()
        member = wire.Member(name=name, pool=pool, generation=1, state=state)
        cluster = Cluster(bus, member, SocketLine(self.socket(host)))
        cluster.subscribe()
        assert cluster.join(10)
        self.members.append(cluster)
        return cluster

    def join_many(self, count: int) -> list[Cluster]:
        """Members that all know of each other."""
        members = [self.join(f"web.{number}") for number in range(1, count + 1)]
        wait_until(lambda: all(len(member.members) == count for member in members))
        return members

    def settle(self) -> None:
        """Return once every hub has read what its members have said before."""
        for member in self.members:
            member.count("settled", 1)

    def known_leases(self) -> set[str]:
        """Names of all leases of the cluster that were ever given."""
        return {name for server in self.servers.values() for name in server.hub.leases.entries}

    def close(self) -> None:
        """End everything."""
        for member in self.members:
            member.leave()
        for host in self.servers:
            self.run(self.end_hub(host))
        self.run(asyncio.sleep(0.01))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
        shutil.rmtree(self.folder)


class RedisServer:
    """A real one: on a Unix socket, or with TLS and a password on a port.

    Args:
        tls: folder with ``ca.pem`` and ``server.pem``.
    """

    def __init__(self, tls: Path | None = None, password: str = "") -> None:
        self.folder = tempfile.mkdtemp(prefix="kr", dir="/tmp")
        self.url = f"unix://{self.folder}/s"
        self.options = ["--port", "0", "--unixsocket", f"{self.folder}/s", "--save", "", "--dir", self.folder]
        if tls is not None:
            port, ca = free_port(), f"{tls}/ca.pem"
            self.url = f"rediss://:{password}@127.0.0.1:{port}/0?ssl_ca_certs={ca}"
            self.options[2:2] = ["--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", ca]
            self.options += ["--tls-cert-file", f"{tls}/server.pem", "--tls-key-file", f"{tls}/server.pem"]
            self.options += ["--requirepass", password]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; anew, it has lost everything."""
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("redis-server is not installed")
        self.process = subprocess.Popen([binary, *self.options], stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            wait_until(lambda: _answers(client))

    def kill(self) -> None:
        """End it as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it."""
        self.kill()
        shutil.rmtree(self.folder)


def free_port() -> int:
    """A port that is free right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def wait_until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait for something that nobody tells."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.005)


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Waits until a condition holds."""
    return wait_until


@pytest.fixture
def local() -> Iterator[World]:
    """One host."""
    world = World()
    world.open()
    yield world
    world.close()


@pytest.fixture
def make_world() -> Callable[[Limits], World]:
    """Makes one host with other bounds."""

    def make(limits: Limits) -> World:
        world = World(limits)
        world.open()
        return world

    return make


class OverRedis(World):
    """Three hosts, which meet in Redis."""

    hosts = ("alpha", "beta", "gamma")

    def __init__(self, server: RedisServer) -> None:
        super().__init__()
        self.server = server
        self.url = server.url
        self.stack = f"t{os.getpid()}-{next(_numbers)}"
        self.redis = redis.Redis.from_url(server.url)
        # a Redis that nobody has used before has not lost anything
        self.redis.set(f"kirsch:{self.stack}:born", 0)

    async def start_hub(self, host: str, listening: Any = None) -> None:
        """Start a hub with its way to the others."""
        await super().start_hub(host, listening)
        server = self.servers[host]
        server.hub.uplink = uplink = RedisUplink(server.hub, self.url, self.stack, server.watch_time)
        uplink.start()

    async def end_hub(self, host: str) -> None:
        """End a hub, which tells the others."""
        uplink = self.hub(host).uplink
        if isinstance(uplink, RedisUplink):
            await uplink.stop()
        await super().end_hub(host)

    def open(self) -> None:
        """Start all hubs, and wait until they know Redis."""
        super().open()
        wait_until(lambda: not any(server.hub.degraded for server in self.servers.values()))

    def known_leases(self) -> set[str]:
        """Names of all leases of the cluster that were ever given."""
        keys: Any = self.redis.keys(f"kirsch:{self.stack}:lease:*")
        return {key.decode().partition(":lease:")[2] for key in keys}

    def close(self) -> None:
        """End everything."""
        super().close()
        self.redis.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis of the tests' own."""
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def over_redis(redis_server: RedisServer) -> Iterator[OverRedis]:
    """Three hosts."""
    world = OverRedis(redis_server)
    world.open()
    yield world
    world.close()


@pytest.fixture
def make_redis() -> Iterator[Callable[..., OverRedis]]:
    """Makes three hosts with a Redis of their own, or one that is there."""
    made: list[RedisServer] = []

    def make(server: RedisServer | None = None, *, tls: Path | None = None, password: str = "") -> OverRedis:
        if server is None:
            server = RedisServer(tls, password)
            server.start()
            made.append(server)
        world = OverRedis(server)
        world.open()
        return world

    yield make
    for server in made:
        server.close()


@pytest.fixture(params=["local", "over_redis"])
def world(request: pytest.FixtureRequest) -> Any:
    """A stack over each transport."""
    return request.getfixturevalue(request.param)
