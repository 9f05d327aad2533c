"""The hosts of an inventory for the time of one conversation: connections, facts, agents, and doing the same on all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from kirsch.errors import DeployError, Problem, SpecError
from kirsch.release.hosts.kit import Kit, bring, cache_folder, make_parts, pack_folder, pack_snapshot
from kirsch.release.hosts.preflight import Facts, PreflightFailed, Trouble, judge, look_at, trouble_of
from kirsch.release.hosts.remote import Remote
from kirsch.release.hosts.ssh import Ssh
from kirsch.spec import Host, Inventory, Stack, place_stack

AT_ONCE = 32
"""Hosts that are spoken to at the same time."""

T = TypeVar("T")


class Listener(Protocol):
    """Somebody who is told what hosts say, from several threads."""

    def heard(self, host: str, event: Mapping[str, Any]) -> None:
        """An event of a host: kinds began, said, ended, failed, reverted."""


class Reach:
    """The hosts of *inventory*, read from *file*; a context manager that hangs up at its end.

    An agent that was not told `keep` takes its host back before it goes.

    Raises:
        SpecError: the inventory cannot be reached over SSH.
    """

    def __init__(
        self, inventory: Inventory, file: str, listener: Listener, environ: Mapping[str, str] = os.environ
    ) -> None:
        refuse_unfit(inventory, file)
        self.inventory, self.file = inventory, file
        self.hosts = inventory.hosts
        self.listener = listener
        self.environ = environ
        self.facts: dict[str, Facts] = {}
        self.ssh: dict[str, Ssh] = {}
        self.remotes: dict[str, Remote] = {}
        self.pool = ThreadPoolExecutor(AT_ONCE, "kirsch-host")
        self.opened = ExitStack()

    def __enter__(self) -> Reach:
        """Have a place for control sockets."""
        self.folder = Path(self.opened.enter_context(tempfile.TemporaryDirectory(prefix="kssh-")))
        self.opened.callback(self.pool.shutdown, cancel_futures=True)
        self.opened.callback(self._hang_up)
        for host in self.hosts.values():
            self.ssh[host.name] = Ssh(host, str(self.folder))
        return self

    def __exit__(self, *details: object) -> None:
        """Hang up."""
        self.opened.close()

    def look(self, stack: Stack) -> list[Trouble]:
        """Connect to every host and look at it; return what keeps a deploy of *stack* from them."""
        vhosts = place_stack(stack, self.inventory, self.file).vhosts.values()
        listens = [one for vhost in vhosts for one in vhost.listen]

        def look_at_one(host: Host) -> Facts:
            self.ssh[host.name].connect()
            return look_at(self.ssh[host.name], host, listens)

        troubles = []
        for name, facts in self.gather(look_at_one).items():
            if isinstance(facts, DeployError):
                troubles.append(trouble_of(name, facts))
            elif isinstance(facts, BaseException):
                raise facts
            else:
                self.facts[name] = facts
                troubles += judge(self.hosts[name], stack.name, facts)
        return troubles

    def require_fit(self, stack: Stack) -> None:
        """Look at every host.

        Raises:
            PreflightFailed: at least one is not fit; nothing was changed.
        """
        troubles = self.look(stack)
        if troubles:
            raise PreflightFailed(troubles)

    def lacks(self, name: str, parts: Sequence[str]) -> tuple[str, ...]:
        """Return those of *parts* of a kit that a host lacks."""
        return tuple(part for part in parts if part not in self.facts[name].has)

    def bring(self, kit: Kit, wanted: Sequence[str]) -> None:
        """Bring every host what it lacks of the parts *wanted*."""
        if not any(self.lacks(name, wanted) for name in self.facts):
            return
        parts = make_parts(kit, cache_folder(self.environ), self.environ)

        def bring_to_one(host: Host) -> None:
            for name in self.lacks(host.name, wanted):
                write = pack_folder(parts[name]) if name in parts else pack_snapshot(kit.snapshot)
                bring(self.ssh[host.name], host.root, name, write)
                self.listener.heard(host.name, {"kind": "said", "text": f"brought {name}"})

        self.all(bring_to_one, list(self.facts))

    def start_agents(self, kit: Kit) -> None:
        """Start an agent on every host that was looked at."""

        def start(host: Host) -> None:
            def hear(event: Mapping[str, Any]) -> None:
                self.listener.heard(host.name, event)

            code = f"{host.root}/kit/{kit.agent}"
            log = self.folder / f"{host.name}.agent"
            self.remotes[host.name] = Remote(self.ssh[host.name], host.python or "python3", code, hear, log)

        self.all(start, list(self.facts))

    def call(self, verb: str, /, names: Sequence[str] | None = None, **args: Any) -> dict[str, Any]:
        """Ask the agents of the hosts *names* (None: all) the same at once; return their answers."""
        return self.all(lambda host: self.remotes[host.name].call(verb, **args), names)

    def all(self, act: Callable[[Host], T], names: Sequence[str] | None = None) -> dict[str, T]:
        """Do the same on hosts at once; when all have ended, the first error of any is raised."""
        good: dict[str, T] = {}
        failed: list[BaseException] = []
        for name, result in self.gather(act, names).items():
            if isinstance(result, BaseException):
                if isinstance(result, DeployError):
                    result.host = result.host or name
                failed.append(result)
            else:
                good[name] = result
        if failed:
            raise failed[0]
        return good

    def gather(self, act: Callable[[Host], T], names: Sequence[str] | None = None) -> dict[str, T | BaseException]:
        """Do the same on hosts at once; return what came of it, errors too."""
        chosen = [self.hosts[name] for name in (self.hosts if names is None else names)]
        futures = {host.name: self.pool.submit(act, host) for host in chosen}
        return {name: future.exception() or future.result() for name, future in futures.items()}

    def words_for(self, host: Host) -> dict[str, Any]:
        """Return what an agent has to know of the inventory: its host, and what is said of all."""
        words = msgspec.to_builtins(self.inventory)
        return {
            "host": msgspec.to_builtins(host),
            "inventory": {key: words[key] for key in ("deploy", "listen", "port_policy", "admin")},
        }

    def _hang_up(self) -> None:
        for ending in [self.pool.submit(remote.close) for remote in self.remotes.values()]:
            ending.result()
        for ending in [self.pool.submit(ssh.close) for ssh in self.ssh.values()]:
            ending.result()


def refuse_unfit(inventory: Inventory, file: str) -> None:
    """Refuse an inventory that cannot be deployed to over SSH.

    Raises:
        SpecError: every reason.
    """
    problems = []
    for host in inventory.hosts.values():
        key = f"host.{host.name}"
        if host.connection != "ssh":
            problems.append(
                Problem(
                    file=file,
                    key=f"{key}.connection",
                    given='"local"',
                    message="this machine cannot be one of several hosts",
                    allowed='"ssh", to this machine too',
                )
            )
        if host.roles != ("app",):
            problems.append(
                Problem(
                    file=file,
                    key=f"{key}.roles",
                    given=str(list(host.roles)),
                    message="only application hosts can be deployed to by this version",
                    allowed='["app"]',
                )
            )
    if problems:
        raise SpecError(problems)
