"""Which addresses the stack really listens on: what was asked for, what it has already, or the next free port.

Pure but for `is_free`, which binds and lets go. A running stack keeps the ports that it has, so that a second deploy
does not move it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from kirsch.errors import Problem, SpecError
from kirsch.spec import Inventory, Listen, Stack, place_stack

SEARCH_PORTS = 200
IsFree = Callable[[Listen], bool]


@dataclass(frozen=True)
class Settled:
    """Addresses by vhost, the admin endpoint, what was asked for each address, and what the operator has to be told."""

    listen: dict[str, tuple[Listen, ...]]
    admin: str
    asked: dict[str, str]
    notes: tuple[str, ...]


def settle_ports(stack: Stack, inventory: Inventory, *, file: str, held: Mapping[str, str], is_free: IsFree) -> Settled:
    """Decide every address of *stack*.

    *held* is what the stack on the host holds now: the address asked for to the one it got ("127.0.0.1:8080":
    "127.0.0.1:8081"). *file* is named in errors.

    Raises:
        SpecError: a port is in use by somebody else and the inventory says that it must be exactly that one; or no
        free one is near; or the inventory's addresses do not fit the stack.
    """
    chooser = _Chooser(inventory.port_policy, file, held, is_free)
    listen = {}
    for name, vhost in place_stack(stack, inventory, file).vhosts.items():
        listen[name] = tuple(chooser.choose(one, key=f"vhost.{name}.listen") for one in vhost.listen)
    admin = chooser.choose(Listen.parse(inventory.admin), key="admin").endpoint
    if chooser.problems:
        raise SpecError(chooser.problems)
    return Settled(listen, admin, chooser.asked, tuple(chooser.notes))


def is_free(listen: Listen) -> bool:
    """Can this process bind the address right now?"""
    family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((listen.address, listen.port))
            probe.listen(1)
        except OSError:
            return False
    return True


class _Chooser:
    """Gives each address once: two vhosts on the same address share the port that is found for it."""

    def __init__(self, policy: str, file: str, held: Mapping[str, str], is_free: IsFree) -> None:
        self.policy = policy
        self.file = file
        self.held = held
        self.is_free = is_free
        self.asked: dict[str, str] = {}
        self.notes: list[str] = []
        self.problems: list[Problem] = []

    def choose(self, wanted: Listen, *, key: str) -> Listen:
        endpoint = wanted.endpoint
        got = self.asked.get(endpoint) or self.held.get(endpoint)
        if got is None and self._is_usable(wanted):
            got = endpoint
        if got is None:
            got = self._next_free(wanted, key)
        self.asked[endpoint] = got
        return msgspec.structs.replace(wanted, port=Listen.parse(got).port)

    def _next_free(self, wanted: Listen, key: str) -> str:
        if self.policy == "next_free":
            first = wanted.port + 1 if wanted.port >= 1024 else 8080
            for port in range(first, min(first + SEARCH_PORTS, 65536)):
                candidate = msgspec.structs.replace(wanted, port=port)
                if self._is_usable(candidate):
                    self.notes.append(
                        f"port {wanted.port} was taken (or is not allowed): "
                        f"{key} listens on {candidate.endpoint} instead"
                    )
                    return candidate.endpoint
        self.problems.append(
            Problem(
                file=self.file,
                key=key,
                given=f'"{wanted}"',
                message=f"{wanted.endpoint} cannot be bound: the port is in use, or only root may have it",
                allowed='a free port; port_policy = "next_free" in the inventory looks for one',
            )
        )
        return wanted.endpoint

    def _is_usable(self, listen: Listen) -> bool:
        return listen.endpoint not in self.asked.values() and self.is_free(listen)
