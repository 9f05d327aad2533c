"""The hub of this host, in its supervisor: who may join it, what outlives us, what the operator sends."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec

from kirsch.errors import BusError, KirschError
from kirsch.link import wire
from kirsch.link.hub import Hub
from kirsch.link.hubserver import HubServer
from kirsch.link.leases import LeaseTable
from kirsch.link.memory import boot_id, now, recall, remember
from kirsch.link.post import GONE, HOST_GONE, Limits
from kirsch.link.redis import RedisUplink
from kirsch.link.setting import CHECK_SETTINGS, SETTING
from kirsch.spec import HostPaths
from kirsch.spec.bus import Bus
from kirsch.supervise.handover import Handover
from kirsch.supervise.worker import Worker

log = logging.getLogger(__name__)

#: Beyond a message's own time, what its receipt may take.
MARGIN_S = 2.0

Act = Callable[..., Awaitable[Any]]


class BusHub:
    """The bus of a host.

    Args:
        workers: returns every worker process that lives.
        acts: what other supervisors, or we ourselves, may ask of this one, by channel.
    """

    def __init__(self, paths: HostPaths, workers: Callable[[], Iterable[Worker]], acts: dict[str, Act]) -> None:
        self.paths = paths
        self.host = socket.gethostname()
        self.hub: Hub | None = None
        self._workers = workers
        self._acts = acts
        self._server: HubServer | None = None
        self._uplink: RedisUplink | None = None
        self._asked: dict[str, asyncio.Future[wire.Receipted]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, stack: str, bus: Bus, handover: Handover) -> None:
        """Listen for the workers of this host, and go on where a hub before us has ended."""
        limits = Limits(
            queue=bus.queue, when_full=bus.when_full, message_bytes=int(bus.message), queue_bytes=int(bus.queue_size)
        )
        hub = self.hub = Hub(
            self.host,
            now=now,
            wall=time.time,
            leases=LeaseTable(now, time.time),
            limits=limits,
            on_change=lambda: remember(self.paths.bus_file, hub, boot_id()),
        )
        recall(self.paths.bus_file, hub, boot_id())
        me = wire.Member(name="supervisor", host=self.host, state="ready")
        self._seat = hub.join(me, tuple(self._acts), self._hear)
        self._server = HubServer(hub, self.paths.bus_socket, self.identify)
        # as root: workers of other users connect as well; who is none of ours is refused by its process id
        mode = 0o666 if os.getuid() == 0 else 0o600
        await self._server.start(handover.socket(self.paths.bus_socket), mode)
        if bus.url != "local":
            url = bus.url.removeprefix("redis+") if bus.url.startswith("redis+unix") else bus.url
            hub.uplink = self._uplink = RedisUplink(hub, url, stack, self._server.watch_time)
            self._uplink.start()

    async def hand_over(self) -> dict[str, int]:
        """Let the workers go, who come again; return the listening socket, by path."""
        assert self._server is not None
        if self._uplink is not None:
            await self._uplink.stop(leaves=False)
        return {self.paths.bus_socket: await self._server.hand_over()}

    async def stop(self) -> None:
        """Listen no longer."""
        if self._uplink is not None:
            await self._uplink.stop()
        if self._server is not None:
            await self._server.stop()

    def identify(self, pid: int, uid: int, claimed: wire.Member) -> wire.Member:
        """Say who a process is: by its id, which the kernel vouches for; of what it says only its state counts.

        Raises:
            BusError: kind ``stranger``: it is no worker of ours.
        """
        for worker in self._workers():
            if worker.pid == pid:
                order = worker.order
                return wire.Member(
                    name=order.name, pool=order.pool, generation=order.generation, state=claimed.state, pid=pid
                )
        raise BusError(f"process {pid} of user {uid} is no worker of this stack", kind="stranger")

    # The operator

    @property
    def hosts(self) -> list[str]:
        """This host, and the others that can be reached."""
        return [self.host, *(sorted(self._uplink.hosts) if self._uplink is not None else ())]

    async def post(
        self, channel: str, args: list[Any], *, to: list[str] | None = None, timeout_s: float = 5.0
    ) -> dict[str, Any]:
        """Call *channel* on everybody who has opened it; return who did it, who did not, and what came back.

        Raises:
            BusError: the arguments cannot be sent.
        """
        assert self.hub is not None
        frame = wire.Send(
            id=secrets.token_hex(6),
            channel=wire.check_channel(channel),
            args=wire.pack(args, self.hub.limits.message_bytes),
            to=tuple(to) if to else None,
            timeout_s=timeout_s,
            gathers=True,
        )
        come = self._asked[frame.id] = asyncio.get_running_loop().create_future()
        try:
            self.hub.receive(self._seat, wire.encode(frame))
            assert self._server is not None
            self._server.watch_time()
            receipt = await asyncio.wait_for(come, timeout_s + MARGIN_S)
        finally:
            del self._asked[frame.id]
        return {
            "delivered": list(receipt.delivered),
            "failed": receipt.failed,
            "timed_out": list(receipt.timed_out),
            "replies": {member: wire.unpack(raw) for member, raw in receipt.replies.items()},
            "degraded": receipt.degraded,
        }

    async def set(
        self, section: str, values: Mapping[str, Any], *, to: list[str] | None = None, timeout_s: float = 5.0
    ) -> dict[str, Any]:
        """Change settings of all workers, those included that come later; None takes one back.

        Everywhere or nowhere: all are asked first, and one that refuses keeps it from everybody. Who does not answer is
        no reason to wait: it hears of it when it goes on.
        """
        assert self.hub is not None
        if section != "flags":
            asked = await self.post(CHECK_SETTINGS, [section, dict(values)], to=to, timeout_s=timeout_s)
            if _refusals(asked):
                return _for_nobody(asked)
        known = self.hub.settings.get(section, {})
        before = {key: known.get(key) for key in values}
        result = await self._spread(section, values, to, timeout_s)
        if _refusals(result):
            await self._spread(section, before, to, timeout_s)
            return _for_nobody(result)
        return result

    async def _spread(
        self, section: str, values: Mapping[str, Any], to: list[str] | None, timeout_s: float
    ) -> dict[str, Any]:
        """Set one after the other; return who did all of them."""
        assert self.hub is not None
        results = []
        for key, value in sorted(values.items(), key=_turn_of):
            self.hub.set(section, key, value)
            if self._uplink is not None:
                await self._uplink.keep_setting(section, key, value)
            results.append(await self.post(SETTING, [section, key, value], to=to, timeout_s=timeout_s))
        return _all_of(results)

    def describe(self) -> dict[str, Any]:
        """Return what the status says of the bus."""
        hub = self.hub
        if hub is None:
            return {}
        held = hub.leases.held() | (self._uplink.held() if self._uplink is not None else {})
        return {
            "host": self.host,
            "leader": hub.leader,
            "degraded": hub.degraded,
            "members": [msgspec.to_builtins(member) | {"id": member.id} for member in hub.members],
            "leases": {
                name: {"holder": entry.holder, "token": entry.token, "left_s": round(entry.until - now(), 1)}
                for name, entry in held.items()
            },
            "settings": hub.settings,
            "queued": {
                seat.id: len(seat.waiting) + len(seat.flying) for seat in hub.seats.values() if seat.member.pool
            },
            "counted": dict(hub.post.counted),
            "wrong": dict(hub.wrong),
        }

    def faults(self) -> list[str]:
        """Say what is not as it should be."""
        return [f"bus: {self.hub.degraded}"] if self.hub is not None and self.hub.degraded else []

    # Our own seat

    def _hear(self, line: bytes) -> None:
        frame = wire.read_from_hub(line)
        if isinstance(frame, wire.Receipted):
            come = self._asked.get(frame.id)
            if come is not None and not come.done():
                come.set_result(frame)
        elif isinstance(frame, wire.Deliver):
            task = asyncio.get_running_loop().create_task(self._act(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _act(self, frame: wire.Deliver) -> None:
        assert self.hub is not None
        answer: wire.Reply | wire.Failed
        try:
            result = await self._acts[frame.channel](*json.loads(bytes(frame.args)))
            answer = wire.Reply(id=frame.id, value=wire.pack([result]))
        except KirschError as error:
            answer = wire.Failed(id=frame.id, why=str(error))
        except Exception as error:  # the wall of the supervisor's own seat
            log.exception("bus: %s of %s failed", frame.channel, frame.sender)
            answer = wire.Failed(id=frame.id, why=f"{type(error).__name__}: {error}")
        self.hub.receive(self._seat, wire.encode(answer))


def _turn_of(setting: tuple[str, Any]) -> int:
    """Sort settings: what turns a tool off comes before its arguments, what turns it on after them."""
    key, value = setting
    return (1 if value else -1) if key.endswith(".on") else 0


def _refusals(result: dict[str, Any]) -> dict[str, str]:
    """Return who has said no; who has gone meanwhile did not."""
    return {member: why for member, why in result["failed"].items() if why not in {GONE, HOST_GONE}}


def _for_nobody(result: dict[str, Any]) -> dict[str, Any]:
    """Return *result* as that of something that nobody did, as some refused it."""
    spared = dict.fromkeys(result["delivered"], "unchanged, as others refuse it")
    return result | {"delivered": [], "failed": result["failed"] | spared}


def _all_of(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the result of several acts as that of one: done is what was done each time."""
    last = results[-1]
    failed = {member: why for one in results for member, why in one["failed"].items()}
    late = {member for one in results for member in one["timed_out"]} - failed.keys()
    done = [member for member in last["delivered"] if member not in failed and member not in late]
    return last | {"delivered": done, "failed": failed, "timed_out": sorted(late)}
