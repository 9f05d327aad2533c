"""How the bus grows: messages per second at hubs and at Redis, from one host to a thousand, on paper and simulated.

    python tests/bench/scale.py

The figures of one hub and one Redis are given, as `tests/bench/bus.py` and `redis-benchmark` measure them; everything
else is computed from what the code sends. Prints the tables of docs/scale.md.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

WORKERS = 32
HUB_FRAMES_PER_S = 40_000
"""Lines that the hub of one host reads or writes on one processor: 25 us each."""
REDIS_OUT_PER_S = 400_000
"""Messages that one Redis hands out to subscribers."""
NETWORK_S = 0.0005
BEAT_S = 2.0
TREE = 32
"""In a tree: hosts that one Redis serves, and children of each node."""


@dataclass(frozen=True)
class Load:
    """What one broadcast with a receipt costs, in messages."""

    hosts: int
    redis_in: int
    redis_out: int
    hub: int
    sender_hub: int

    @property
    def at_redis(self) -> float:
        """Broadcasts a second at which Redis is full."""
        return REDIS_OUT_PER_S / self.redis_out if self.redis_out else float("inf")

    @property
    def at_hub(self) -> float:
        """Broadcasts a second at which the sender's hub is full."""
        return HUB_FRAMES_PER_S / self.sender_hub


def flat(hosts: int) -> Load:
    """One Redis, to which every hub is connected: what the code does."""
    others = hosts - 1
    # each hub hands it to its workers and reads their answers, in batches at best; the sender hears all other hubs
    hub = 2 * WORKERS + 2
    return Load(hosts, 1 + others if others else 0, hosts + others if others else 0, hub, 2 * WORKERS + 2 + others)


def tree(hosts: int) -> Load:
    """Groups of hubs with a Redis each, and receipts summed up on the way: nobody hears more than its children."""
    groups = -(-hosts // TREE)
    if groups == 1:
        return flat(hosts)
    hub = 2 * WORKERS + 2
    return Load(hosts, TREE + groups, 2 * TREE + 2 * min(groups, TREE), hub, 2 * WORKERS + 2 + TREE)


def beats(hosts: int) -> float:
    """Signs of life a second at Redis; they are not handed out."""
    return hosts / BEAT_S


def simulate(hosts: int, per_s: float, load: Load, seconds: float = 2.0) -> float:
    """Return the 99th percentile, in ms, of broadcasts from random hosts: queues at Redis, at each hub, and back."""
    chance = random.Random(1)
    redis_free = 0.0
    hub_free = [0.0] * hosts
    latencies = []
    moments = []
    at = 0.0
    while at < seconds:
        at += chance.expovariate(per_s)
        moments.append(at)
    redis_s = (load.redis_out + load.redis_in) / 2 / REDIS_OUT_PER_S
    queue = [(moment, chance.randrange(hosts)) for moment in moments]
    heapq.heapify(queue)
    while queue:
        moment, sender = heapq.heappop(queue)
        redis_free = max(redis_free, moment + NETWORK_S) + redis_s
        last = 0.0
        for host in range(hosts):
            frames = load.sender_hub if host == sender else load.hub
            hub_free[host] = max(hub_free[host], redis_free + NETWORK_S) + frames / HUB_FRAMES_PER_S
            last = max(last, hub_free[host])
        redis_free += redis_s
        latencies.append(max(last, redis_free) + NETWORK_S - moment)
    latencies.sort()
    return latencies[int(len(latencies) * 0.99)] * 1000


def main() -> None:
    """Print the tables."""
    for name, shape in (("one Redis", flat), ("a tree", tree)):
        print(f"\n{name}\n")
        print("| hosts | workers | into Redis | out of Redis | sender's hub | full at | p99 at 5/s | p99 at 50/s |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for hosts in (1, 3, 10, 32, 100, 320, 1000):
            load = shape(hosts)
            full = min(load.at_redis, load.at_hub, HUB_FRAMES_PER_S / load.hub)
            tail = [simulate(hosts, rate, load) for rate in (5.0, 50.0)]
            print(
                f"| {hosts} | {hosts * WORKERS} | {load.redis_in} | {load.redis_out} | {load.sender_hub} "
                f"| {full:.0f}/s | {tail[0]:.1f} ms | {tail[1]:.1f} ms |"
            )
    print("\nsigns of life at Redis: " + ", ".join(f"{hosts}: {beats(hosts):.0f}/s" for hosts in (10, 100, 1000)))


if __name__ == "__main__":
    main()
