"""What a supervisor says of its stack, as values: the answer to the control verb `status`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from kirsch.errors import ControlError, KirschError


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process; *since* is Unix time, *report* tells why it failed, if it did."""

    name: str
    pid: int | None = None
    state: str
    generation: int | str | None = None
    release: str | None = None
    since: float | None = None
    slots: list[int] = []
    requests: int | None = None
    in_flight: int | None = None
    rss_bytes: int | None = None
    restarts: int = 0
    report: dict[str, Any] | None = None


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """One pool with its workers."""

    name: str
    engine: str = "native"
    slots: int | list[Any] | dict[str, Any] = 0
    workers: list[Worker] = []


class Nginx(msgspec.Struct, frozen=True, kw_only=True):
    """The host's nginx; *problem* is why it does not run, or not with what it should."""

    pid: int | None = None
    version: str | None = None
    binary: str | None = None
    listen: list[str] = []
    generation: str | int | None = None
    problem: str | None = None
    held: dict[str, dict[str, Any]] = {}
    """Vhosts that it refuses as they are written: ``{"shop": {"serves": "nothing", "lines": ["[emerg] …"]}}``."""

    @property
    def left_out(self) -> frozenset[str]:
        """The vhosts that answer nobody."""
        return frozenset(name for name, one in self.held.items() if one.get("serves") == "nothing")


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A whole stack on a host; *degraded* has a reason for everything that is not as it should be."""

    stack: str
    release: str | None = None
    generation: int | str | None = None
    pid: int
    python: str | None = None
    """The supervisor's own interpreter; older ones do not say."""
    started: float | str | None = None
    nginx: Nginx | None = None
    pools: list[Pool] = []
    admin: str | None = None
    log_dir: str | None = None
    degraded: list[str] = []

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers of all pools."""
        return tuple(worker for pool in self.pools for worker in pool.workers)


class Control(Protocol):
    """A way to the supervisor: what `kirsch.supervise.client.ControlClient` is."""

    def call(self, verb: str, **args: Any) -> Any:
        """Ask and return the result; ControlError if it is an error or nobody is there."""

    def stream(self, verb: str, **args: Any) -> Iterator[Mapping[str, Any]]:
        """Ask and yield events until it is done; ControlError as above."""


Connect = Callable[[str], Control]


def ask_status(control: Control) -> Status | None:
    """Return what the supervisor says, None if there is none.

    Raises:
        ControlError: there is one, and it answers with an error or with something else than a status.
    """
    try:
        result = control.call("status")
    except ControlError as error:
        if error.kind == "unreachable":
            return None
        raise
    try:
        return msgspec.convert(result, Status, strict=False)
    except msgspec.ValidationError as error:
        raise ControlError(f"the supervisor's status is not one: {error}", kind="protocol") from error


def first_failure(status: Status) -> Worker | None:
    """Return a worker that failed to come up, once or again and again, if there is one."""
    return next((worker for worker in status.workers if worker.state in {"failed", "parked"}), None)


def is_serving(status: Status, release: str, least: Mapping[str, int]) -> bool:
    """Has every pool of *least* that many ready workers of *release*, and no ready one of another?"""
    for pool, count in least.items():
        workers = next((found.workers for found in status.pools if found.name == pool), [])
        ready = [worker for worker in workers if worker.state == "ready"]
        if len(ready) < count or any(worker.release != release for worker in ready):
            return False
    return True


def describe_error(error: KirschError) -> Mapping[str, Any]:
    """Return the report that an error carries, empty if it has none."""
    report = getattr(error, "report", None)
    return report if isinstance(report, Mapping) else {}
