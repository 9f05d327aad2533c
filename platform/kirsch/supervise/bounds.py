"""Bounds that the kernel keeps for a worker: priority, processors, files, memory.

They are set on the child from outside, right after its birth: what a child would do to itself between fork and exec
is not safe in a process with threads. An interpreter that has just begun has one thread, of which all others inherit.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

from kirsch.spec import Pool


def bind(pid: int, pool: Pool, seat: int) -> Iterator[str]:
    """Put the bounds of *pool* on the process *pid*; yield what could not be done, a sentence each."""
    for key, act in (("nice", _nice), ("cpus", _cpus), ("limits", _limits)):
        try:
            act(pid, pool, seat)
        except ProcessLookupError:
            return  # gone already: its report says more
        except (OSError, ValueError) as error:
            yield f"pool.{pool.name}.{key}: {error}"


def choose_cpus(pool: Pool, seat: int, present: frozenset[int]) -> frozenset[int]:
    """Return the processors for the worker in *seat* (from 1); empty for no bound.

    >>> choose_cpus(Pool(name="web", pin=True), 3, frozenset({0, 1}))
    frozenset({0})
    """
    allowed = sorted(set(pool.cpus) & present if pool.cpus else present)
    if pool.cpus and not allowed:
        raise ValueError(f"none of the processors {list(pool.cpus)} is here; there are: {sorted(present)}")
    if pool.pin:
        return frozenset({allowed[(seat - 1) % len(allowed)]})
    return frozenset(allowed) if pool.cpus else frozenset()


def _nice(pid: int, pool: Pool, seat: int) -> None:
    if pool.nice is not None:
        os.setpriority(os.PRIO_PROCESS, pid, pool.nice)


def _cpus(pid: int, pool: Pool, seat: int) -> None:
    chosen = choose_cpus(pool, seat, frozenset(os.sched_getaffinity(0)))
    if chosen:
        os.sched_setaffinity(pid, chosen)


def _limits(pid: int, pool: Pool, seat: int) -> None:
    wanted = {
        resource.RLIMIT_NOFILE: pool.limits.open_files,
        resource.RLIMIT_AS: pool.limits.address_space,
        resource.RLIMIT_CORE: pool.limits.core,
    }
    for which, limit in wanted.items():
        if limit is None:
            continue
        _, hard = resource.prlimit(pid, which)
        if hard != resource.RLIM_INFINITY and limit > hard and os.getuid() != 0:
            raise ValueError(f"{int(limit)} is more than this user may have: {hard}")
        resource.prlimit(pid, which, (int(limit), int(limit) if hard == resource.RLIM_INFINITY else max(hard, limit)))
