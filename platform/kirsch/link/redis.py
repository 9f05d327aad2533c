"""The way to other hosts over Redis: hubs speak to hubs, so that Redis carries a message once for each host.

While Redis is away a hub serves its own host, says so, and comes back by itself. Cluster leases are not given then:
work that must not be done twice is rather not done.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from kirsch.link import wire
from kirsch.link.hub import Hub
from kirsch.link.leases import Entry, Grant
from kirsch.link.redisleases import UNREACHABLE, RedisLeases
from kirsch.link.redisscripts import BEAT
from kirsch.link.setting import SETTING

log = logging.getLogger(__name__)

BEAT_S = 2.0
HOST_TTL_S = 10.0
"""A host that has not been heard of for so long is gone, with its members."""
FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 5.0
TIMEOUT_S = 3.0
QUEUE = 10_000
"""Messages that may wait for Redis; one beyond is not sent, and its receipt says so."""
REMEMBERED = 4096
SETTLE_S = 0.02
"""How long changes of members are gathered before other hosts are told."""


class Between(msgspec.Struct, kw_only=True, tag_field="op", omit_defaults=True):
    """What hubs say to each other; *host* is who says it."""

    host: str


class Post(Between, tag="post"):
    """A message for the members of every host."""

    key: str
    sender: str
    frame: wire.Send


class Receipt(Between, tag="receipt"):
    """What became of it on one host."""

    key: str
    receipt: wire.Receipted


class Presence(Between, tag="presence"):
    """The members of a host; none: it leaves."""

    members: tuple[wire.Member, ...] = ()


_decode = msgspec.json.Decoder(Post | Receipt | Presence).decode
_encode = msgspec.json.Encoder().encode


class RedisUplink:
    """Joins the hubs of all hosts of a stack.

    Args:
        hub: of this host.
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with a password if there is one.
        stack: keeps stacks in one Redis apart.
        wake: called when the hub may have something to do at another time than before.
    """

    def __init__(self, hub: Hub, url: str, stack: str, wake: Callable[[], None]) -> None:
        self.hub = hub
        self.url = url
        self.prefix = f"kirsch:{stack}:"
        self.degraded = "other hosts are not reached yet"
        self.hosts: dict[str, tuple[wire.Member, ...]] = {}
        """Members of the other hosts."""
        self._wake = wake
        self._over = False
        self._client: Any = None
        self._task: asyncio.Task[None] | None = None
        self._out: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(QUEUE)
        self._known: OrderedDict[str, wire.Receipted | None] = OrderedDict()
        self._leases = RedisLeases(self._key)
        self._epoch = -1
        self._version = 0
        self._changed = asyncio.Event()
        self._acts: set[asyncio.Task[None]] = set()

    # What the hub asks

    @property
    def remote(self) -> Iterable[wire.Member]:
        """Members of other hosts."""
        return [member for members in self.hosts.values() for member in members]

    def spread(self, key: str, sender: str, frame: wire.Send) -> set[str]:
        """Give a message to all other hosts; return those that will answer."""
        if self.degraded or not self.hosts:
            return set()
        hosts = set(self.hosts)
        if frame.to is not None and all("@" in one for one in frame.to):
            hosts &= {one.partition("@")[2].rpartition(":")[0] for one in frame.to}
        near = msgspec.structs.replace(frame, timeout_s=max(frame.timeout_s * 0.8, frame.timeout_s - 0.5))
        post = _encode(Post(host=self.hub.host, key=key, sender=sender, frame=near))
        where = ["all"] if len(hosts) > 1 or len(hosts) == len(self.hosts) else [f"host:{host}" for host in hosts]
        return hosts if all(self._put(one, post) for one in where) else set()

    def lease(self, frame: wire.Take | wire.Renew | wire.Release, holder: str, answer: Callable[[Grant], None]) -> None:
        """Ask Redis for a lease of the cluster."""
        if self.degraded:
            answer(UNREACHABLE)
        else:
            self._do(self._leases.apply(frame, holder, answer))

    def release_all(self, holder: str) -> None:
        """Free the leases of a member of this host that is gone."""
        if not self.degraded:
            self._do(self._leases.release_all(holder))

    def held(self) -> dict[str, Entry]:
        """Return the leases of the cluster that members of this host hold."""
        return self._leases.held()

    def count(self, frame: wire.Count, answer: Callable[[wire.Counted], None]) -> None:
        """Count in Redis."""
        self._do(self._leases.count(frame, answer))

    def local_changed(self) -> None:
        """Tell other hosts who is here, soon."""
        self._changed.set()

    # Life

    def start(self) -> None:
        """Connect, again and again."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, *, leaves: bool = True) -> None:
        """End; *leaves* tells the others that nobody is here any more."""
        self._over = True
        if leaves and self._client is not None and not self.degraded:
            try:
                await asyncio.wait_for(self._say_good_bye(), 1.0)
            except Exception as error:  # Redis is away, in whichever way
                log.debug("bus: no good-bye: %s", error)
        await _end([task for task in (self._task, *self._acts) if task is not None])
        if self._client is not None:
            await self._client.aclose()

    async def _say_good_bye(self) -> None:
        await self._client.hdel(self._key("hosts"), self.hub.host)
        await self._client.zrem(self._key("alive"), self.hub.host)
        await self._client.incr(self._key("epoch"))
        await self._client.publish(self._key("all"), _encode(Presence(host=self.hub.host)))

    async def _run(self) -> None:
        import redis.asyncio  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        self._client = self._leases.client = redis.asyncio.from_url(
            self.url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        delay_s = FIRST_RETRY_S
        lost_at = asyncio.get_running_loop().time()
        while not self._over:
            try:
                await self._session()
            except (redis.RedisError, OSError, TimeoutError) as error:
                if not self.degraded:
                    delay_s, lost_at = FIRST_RETRY_S, asyncio.get_running_loop().time()
                self._degrade(f"other hosts cannot be reached, as Redis is away: {error}")
            if self.hosts and asyncio.get_running_loop().time() > lost_at + HOST_TTL_S:
                for host in list(self.hosts):
                    self._set_members(host, ())
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, LONGEST_RETRY_S)

    async def _session(self) -> None:
        """Serve as long as Redis does.

        Raises:
            RedisError, OSError: it does no longer.
        """
        pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            await pubsub.subscribe(self._key("all"), self._key(f"host:{self.hub.host}"))
            self._epoch = -1
            await self._beat()
            self.degraded = ""
            log.info("bus: other hosts are reached over Redis")
            self.hub.announce(remote=True)
            works = [self._listen(pubsub), self._write(), self._keep_beating(), self._keep_present()]
            tasks = [asyncio.create_task(work) for work in works]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await _end(tasks)
        finally:
            await pubsub.aclose()

    def _degrade(self, why: str) -> None:
        if self.degraded != why:
            if not self.degraded:
                log.warning("bus: %s", why)
            self.degraded = why
            for host in self.hosts:
                self.hub.post.lost_afar(host)
            while not self._out.empty():
                self._out.get_nowait()
            self.hub.announce(remote=True)
            self._wake()

    async def _listen(self, pubsub: Any) -> None:
        while True:
            message = await pubsub.get_message(timeout=BEAT_S)
            if message is not None:
                try:
                    self._hear(_decode(message["data"]))
                except msgspec.MsgspecError as error:
                    self.hub.wrong["bad_frame"] += 1
                    log.warning("bus: dropped what came over Redis: %s", error)

    async def _write(self) -> None:
        while True:
            batch = [await self._out.get()]
            while not self._out.empty() and len(batch) < 100:
                batch.append(self._out.get_nowait())
            async with self._client.pipeline(transaction=False) as pipe:
                for where, data in batch:
                    pipe.publish(self._key(where), data)
                await pipe.execute()

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._beat()

    async def _keep_present(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_S)
            await self._be_present()

    async def _beat(self) -> None:
        keys = [self._key(name) for name in ("alive", "hosts", "epoch", "version")]
        found = await self._client.eval(BEAT, len(keys), *keys, self.hub.host, HOST_TTL_S)
        epoch, version, is_known = map(int, found)
        if not is_known or self._epoch < 0:
            await self._be_present()
        if epoch != self._epoch:
            self._epoch = epoch
            await self._look_around()
        if version != self._version:
            await self._compare_settings(version)

    async def _be_present(self) -> None:
        self._changed.clear()
        presence = _encode(Presence(host=self.hub.host, members=self.hub.local))
        await self._client.hset(self._key("hosts"), self.hub.host, presence)
        await self._client.publish(self._key("all"), presence)

    async def _look_around(self) -> None:
        found = await self._client.hgetall(self._key("hosts"))
        seen = {presence.host: presence for presence in map(_decode, found.values()) if isinstance(presence, Presence)}
        for host in {*self.hosts, *seen} - {self.hub.host}:
            self._set_members(host, seen[host].members if host in seen else ())

    def _set_members(self, host: str, members: tuple[wire.Member, ...]) -> None:
        before = self.hosts.get(host, ())
        if members:
            self.hosts[host] = members
        elif self.hosts.pop(host, None) is not None:
            self.hub.post.lost_afar(host)
        now = {member.id for member in members}
        joined = tuple(member for member in members if member not in before)
        left = tuple(member.id for member in before if member.id not in now)
        if joined or left:
            self.hub.announce(joined=joined, left=left, remote=True)
            self._wake()

    # Between hubs

    def _hear(self, said: Post | Receipt | Presence) -> None:
        if said.host == self.hub.host:
            return
        if isinstance(said, Presence):
            self._set_members(said.host, said.members)
        elif isinstance(said, Receipt):
            self.hub.post.answered_afar(said.host, said.key, said.receipt)
        elif said.frame.to is None or any(self._is_here(one) for one in said.frame.to):
            self._take_post(said)
        else:
            self._answer(said, wire.Receipted(id=said.key))
        self._wake()

    def _is_here(self, one: str) -> bool:
        return "@" not in one or one.partition("@")[2].rpartition(":")[0] == self.hub.host

    def _take_post(self, post: Post) -> None:
        if post.key in self._known:
            receipt = self._known[post.key]
            if receipt is not None:
                self._answer(post, receipt)
            return
        if post.frame.channel == SETTING:
            section, key, value = wire.unpack(post.frame.args)
            self.hub.set(section, key, value)
        self._known[post.key] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self.hub.post.spread(
            post.key, post.sender, post.frame, lambda receipt: self._answer(post, receipt), from_afar=True
        )

    def _answer(self, post: Post, receipt: wire.Receipted) -> None:
        if post.key in self._known:
            self._known[post.key] = receipt
        self._put(f"host:{post.host}", _encode(Receipt(host=self.hub.host, key=post.key, receipt=receipt)))

    def _put(self, where: str, data: bytes) -> bool:
        try:
            self._out.put_nowait((where, data))
        except asyncio.QueueFull:
            self.hub.post.counted["dropped"] += 1
            return False
        return True

    # Settings: the ones of Redis are those of all, unless it has lost them

    async def keep_setting(self, section: str, key: str, value: Any) -> None:
        """Keep a setting for hosts that join later."""
        try:
            await self._client.hset(self._key("settings"), f"{section} {key}", msgspec.json.encode(value))
            self._version = int(await self._client.incr(self._key("version")))
        except Exception as error:  # Redis is away: it is told with the next session
            log.warning("bus: a setting is not in Redis yet: %s", error)
            self._version += 1

    async def _compare_settings(self, version: int) -> None:
        if version < self._version:
            for section, values in self.hub.settings.items():
                for key, value in values.items():
                    await self._client.hset(self._key("settings"), f"{section} {key}", msgspec.json.encode(value))
            await self._client.set(self._key("version"), self._version)
            return
        self._version = version
        found = await self._client.hgetall(self._key("settings"))
        for name, text in found.items():
            section, _, key = name.decode().partition(" ")
            value = msgspec.json.decode(text)
            if self.hub.settings.get(section, {}).get(key) != value:
                self.hub.set(section, key, value)
                frame = wire.Send(id="", channel=SETTING, args=wire.pack([section, key, value]))
                self.hub.post.spread(f"settings/{version}/{name}", "settings", frame, lambda _: None, from_afar=True)

    # Below

    def _key(self, name: str) -> str:
        return self.prefix + name

    def _do(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are: a cancellation in the moment of a time-out of redis-py is lost."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.1)
    await asyncio.gather(*tasks, return_exceptions=True)
