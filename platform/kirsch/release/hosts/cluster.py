"""A deploy over several hosts, driven from here: all new, or all old.

Everything that can be known beforehand is looked at on all hosts before anything is changed on one. A host is changed
by its agent alone, which takes it back when it hears nothing from here any more; so what this process owes is order:
the lock on every host or none, the release command once, the batches one after the other, and the word that the new
release stays (`keep`) only after the last host is verified.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from kirsch.errors import KirschError
from kirsch.release import wheel
from kirsch.release.hosts.batches import split_batches
from kirsch.release.hosts.kit import Kit, describe_kit
from kirsch.release.hosts.reach import Reach
from kirsch.release.lock import who_am_i
from kirsch.release.rollback import choose_release
from kirsch.release.snapshot import take_snapshot
from kirsch.spec import Host, Stack


@dataclass(frozen=True)
class HostPlan:
    """What a deploy means for one host: what serves there now (None: nothing), and what it has to be brought."""

    name: str
    address: str
    current: str | None
    runs: bool
    lacks: tuple[str, ...]


@dataclass(frozen=True)
class ClusterPlan:
    """A deploy over several hosts, before anything is touched."""

    verb: str
    stack: str
    release: str
    command: str | None
    hosts: tuple[HostPlan, ...]
    batches: tuple[tuple[str, ...], ...]
    bake_s: float


class Watcher(Protocol):
    """Somebody who watches a deploy over several hosts; it is told from several threads."""

    def planned(self, plan: ClusterPlan) -> None:
        """The whole plan, before anything is touched."""

    def phase(self, text: str) -> None:
        """What all do now."""

    def heard(self, host: str, event: Mapping[str, Any]) -> None:
        """An event of a host: kinds began, said, ended, failed, reverted."""


class ClusterDeploy:
    """One deploy of *stack* (its file is *stack_file*) to the hosts of *reach*."""

    verb = "deploy"
    builds = True

    def __init__(
        self,
        stack: Stack,
        stack_file: str,
        reach: Reach,
        watcher: Watcher,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.stack, self.stack_file = stack, stack_file
        self.reach = reach
        self.watcher = watcher
        self.now = now
        self.sleep = sleep

    def run(self, *, dry_run: bool = False) -> ClusterPlan:
        """Deploy; return what was planned.

        Raises:
            PreflightFailed: hosts are not fit; nothing was changed.
            LockHeld: somebody else is deploying.
            KirschError: a step failed; every host serves the release of before.
        """
        self.watcher.phase(f"looking at {', '.join(self.reach.hosts)}")
        self.reach.require_fit(self.stack)
        kit = describe_parts(self.stack, self.reach)
        plan = self.plan(kit)
        self.watcher.planned(plan)
        if not dry_run:
            self.watcher.phase("bringing what the hosts lack")
            self.reach.bring(kit, kit.names)
            self.reach.start_agents(kit)
            self.deploy(plan, kit)
        return plan

    def name_release(self, kit: Kit) -> str:
        """Name the release by when and what, the same everywhere."""
        return f"{self.now():%Y%m%d-%H%M%S}-{kit.snapshot.digest[:8]}"

    def plan(self, kit: Kit) -> ClusterPlan:
        """Put the plan together."""
        options = self.reach.inventory.deploy
        hosts = tuple(
            HostPlan(
                name=name,
                address=self.reach.hosts[name].address,
                current=facts.current,
                runs=facts.runs,
                lacks=self.reach.lacks(name, kit.names if self.builds else (kit.agent,)),
            )
            for name, facts in self.reach.facts.items()
        )
        return ClusterPlan(
            verb=self.verb,
            stack=self.stack.name,
            release=self.name_release(kit),
            command=self.stack.release_command if self.builds else None,
            hosts=hosts,
            batches=split_batches(list(self.reach.facts), options.batch),
            bake_s=options.bake_s,
        )

    def deploy(self, plan: ClusterPlan, kit: Kit) -> None:
        """Do it: all new, or all old."""
        reach, who = self.reach, who_am_i()
        self.watcher.phase("taking the lock on every host")
        try:
            for name in sorted(reach.hosts):  # in one order: of two deploys one gets through
                reach.call("lock", [name], root=reach.hosts[name].root, who=who, verb=f"kirsch {self.verb}")
            plans = reach.all(lambda host: self.plan_on(host, plan, kit, who))
            for name, one in plans.items():
                for note in one["notes"]:
                    self.watcher.heard(name, {"kind": "said", "text": note})
            if self.builds:
                self.watcher.phase("building the release on every host")
            reach.call("stage", name="build")
            if plan.command is not None:
                first = plan.hosts[0].name
                self.watcher.phase(f"release command, once, on {first}")
                reach.call("stage", [first], name="command")
            for number, batch in enumerate(plan.batches, 1):
                self.roll(batch, f"{number} of {len(plan.batches)}")
            reach.call("keep")
        except KirschError as error:
            self.go_back(error)
            raise
        self.watcher.phase("cleaning up")
        reach.call("finish", kit=list(kit.names))

    def roll(self, batch: Sequence[str], which: str) -> None:
        """Take the hosts of a batch to the new release, and watch them for the bake."""
        self.watcher.phase(f"batch {which}: {', '.join(batch)}")
        self.reach.call("stage", batch, name="roll")
        bake_s = self.reach.inventory.deploy.bake_s
        if bake_s:
            self.watcher.phase(f"watching {', '.join(batch)} for {bake_s:g} s")
            self.sleep(bake_s)
            self.reach.call("stage", batch, name="check")

    def go_back(self, error: KirschError) -> None:
        """Have every host that can be reached serve the release of before; the others do so by themselves."""
        self.watcher.phase("going back")
        reason = str(error).partition("\n")[0]
        where = getattr(error, "host", None)
        words = f"{where}: {reason}" if where else reason
        found = self.reach.gather(lambda host: self.reach.remotes[host.name].call("revert", reason=words))
        for name, result in found.items():
            if isinstance(result, BaseException):
                text = f"{result}; what its agent had begun it takes back by itself"
                self.watcher.heard(name, {"kind": "reverted", "text": text})

    def plan_on(self, host: Host, plan: ClusterPlan, kit: Kit, who: str) -> Any:
        """Have the agent of a host work out what it will do."""
        return self.reach.remotes[host.name].call(
            "plan",
            source=f"{host.root}/kit/{kit.source}/{os.path.basename(self.stack_file)}",
            content=kit.snapshot.digest,
            wheels=f"{host.root}/kit/{kit.wheels}",
            release=plan.release,
            who=who,
            **self.reach.words_for(host),
        )


class ClusterRollback(ClusterDeploy):
    """Every host back to a release that was verified on all of them: *release*, else the last one before."""

    verb = "rollback"
    builds = False

    def __init__(self, stack: Stack, stack_file: str, reach: Reach, watcher: Watcher, release: str | None) -> None:
        super().__init__(stack, stack_file, reach, watcher)
        self.wanted = release

    def run(self, *, dry_run: bool = False) -> ClusterPlan:
        """Go back; as `ClusterDeploy.run`."""
        self.watcher.phase(f"looking at {', '.join(self.reach.hosts)}")
        self.reach.require_fit(self.stack)
        kit = describe_parts(self.stack, self.reach)
        self.reach.bring(kit, (kit.agent,))
        self.reach.start_agents(kit)
        plan = self.plan(kit)
        self.watcher.planned(plan)
        if not dry_run:
            self.deploy(plan, kit)
        return plan

    def name_release(self, kit: Kit) -> str:
        """Choose among the releases that every host has verified; only what all serve now is no way back."""
        found = self.reach.all(lambda host: self.reach.remotes[host.name].call("verified", root=host.root))
        first, *others = found.values()
        common = tuple(name for name in first if all(name in other for other in others))
        serving = {facts.current for facts in self.reach.facts.values()}
        current = serving.pop() if len(serving) == 1 else None
        return choose_release(common, current, self.wanted, "every host")

    def plan_on(self, host: Host, plan: ClusterPlan, kit: Kit, who: str) -> Any:
        """Have the agent of a host work out its way back."""
        return self.reach.remotes[host.name].call(
            "plan_rollback", stack=self.stack.name, release=plan.release, who=who, **self.reach.words_for(host)
        )


def describe_parts(stack: Stack, reach: Reach) -> Kit:
    """Say what the hosts need, now that it is known what they are like."""
    with_nginx = any(facts.nginx is None for facts in reach.facts.values())
    return describe_kit(stack, take_snapshot(Path(stack.directory)), wheel.find_source(), with_nginx=with_nginx)
