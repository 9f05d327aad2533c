"""In which order hosts are told what, by hosts that only note it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kirsch.errors import DeployError, GateFailed, HostUnreachable, LockHeld
from kirsch.release.hosts.cluster import ClusterDeploy, ClusterPlan, ClusterRollback
from kirsch.release.hosts.preflight import Facts, our_tag
from kirsch.release.hosts.reach import Reach
from kirsch.spec import DeployOptions, Host, Inventory, Stack

FACTS = Facts(
    version=(3, 11, 2),
    tag=our_tag(),
    python="/usr/bin/python3",
    has_venv=True,
    has_pip=True,
    user=1000,
    host="web1",
    clock=1.0,
    free_bytes=10**10,
    free_files=10**6,
    folder="/srv",
    writable=True,
    nginx="/usr/sbin/nginx",
    runs=True,
    taken=[],
    has=[],
    current="old",
    stack="shop",
)


class Agent:
    """Notes what it is told; *fails* has the errors that it answers with, by verb or stage."""

    def __init__(self, name: str, told: list[tuple[str, str]], mutex: threading.Lock) -> None:
        self.name, self.told, self.mutex = name, told, mutex
        self.fails: dict[str, Exception] = {}
        self.verified: list[str] = []

    def call(self, verb: str, /, **args: Any) -> Any:
        """Note it and answer."""
        what = args["name"] if verb == "stage" else verb
        with self.mutex:
            self.told.append((self.name, what))
        if what in self.fails:
            raise self.fails[what]
        return self.verified if verb == "verified" else {"notes": []}

    def close(self) -> None:
        """Nothing to end."""


class Watcher:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def planned(self, plan: ClusterPlan) -> None:
        """Nothing to note."""

    def phase(self, text: str) -> None:
        """Note it."""
        self.phases.append(text)

    def heard(self, host: str, event: Mapping[str, Any]) -> None:
        """Note it."""
        self.events.append((host, event))


FIELDS: list[Field] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """No thread stays behind: other tests of the process wait for all that there are."""
    yield
    while FIELDS:
        FIELDS.pop().pool.shutdown()


class Field(Reach):
    """Hosts that are fit, and agents that note what they are told."""

    def __init__(self, count: int, batch: str | int, bake_s: float = 0.0) -> None:
        hosts = {f"web{number}": Host(name=f"web{number}") for number in range(count, 0, -1)}
        self.watcher = Watcher()
        inventory = Inventory(hosts=hosts, deploy=DeployOptions(batch=batch, bake_s=bake_s))
        super().__init__(inventory, "cluster.toml", self.watcher)
        self.told: list[tuple[str, str]] = []
        mutex = threading.Lock()
        self.agents = {name: Agent(name, self.told, mutex) for name in hosts}
        FIELDS.append(self)
        self.remotes = dict(self.agents)  # type: ignore[arg-type]
        self.facts = dict.fromkeys(hosts, FACTS)

    def require_fit(self, stack: Stack) -> None:
        """They are."""

    def bring(self, kit: Any, wanted: Any) -> None:
        """They have it."""

    def start_agents(self, kit: Any) -> None:
        """They run."""

    def deploy(self, stack: Stack) -> ClusterPlan:
        """Deploy."""
        clock = datetime(2026, 1, 31, 17, 45, 2, tzinfo=UTC)
        deploy = ClusterDeploy(stack, "kirsch.toml", self, self.watcher, now=lambda: clock, sleep=self.told_to_wait)
        return deploy.run()

    def told_to_wait(self, seconds: float) -> None:
        """Note that somebody waits."""
        self.told.append(("", f"wait {seconds:g}"))

    def order(self) -> list[str]:
        """What was told, without who was."""
        return list(dict.fromkeys(what for _, what in self.told))

    def who(self, what: str) -> list[str]:
        """Who was told *what*, in order."""
        return [name for name, said in self.told if said == what]


def test_order_of_a_deploy(stack: Stack) -> None:
    """Locks by name, the command once, batches one after the other, and the word to keep it after the last."""
    field = Field(3, 1, bake_s=5)
    plan = field.deploy(stack)
    rolls = [(name, what) for name, what in field.told if what in {"roll", "check", "wait 5"}]

    assert field.order() == ["lock", "plan", "build", "command", "roll", "wait 5", "check", "keep", "finish"]
    assert field.who("lock") == ["web1", "web2", "web3"]
    assert field.who("command") == ["web3"]
    assert [name for name, _ in rolls] == ["web3", "", "web3", "web2", "", "web2", "web1", "", "web1"]
    assert sorted(field.who("keep")) == sorted(field.who("finish")) == ["web1", "web2", "web3"]
    assert plan.release.startswith("20260131-174502-")


def test_stack_without_a_command_has_none_run(stack: Stack) -> None:
    """And no phase says so."""
    field = Field(2, 1)
    field.deploy(msgspec.structs.replace(stack, release_command=None))

    assert field.who("command") == []
    assert not any("release command" in phase for phase in field.watcher.phases)


@pytest.mark.parametrize("stage", ["plan", "build", "command", "roll", "keep"])
def test_failure_takes_every_host_back(stack: Stack, stage: str) -> None:
    """Whatever failed: nothing comes after it, all are told to go back, and the error says where."""
    field = Field(3, 1)
    field.agents["web3"].fails[stage] = GateFailed("broken", step="roll")
    with pytest.raises(GateFailed) as caught:
        field.deploy(stack)

    assert sorted(field.who("revert")) == ["web1", "web2", "web3"]
    assert field.who("finish") == []
    assert field.order()[-2:] == [stage, "revert"]
    assert caught.value.host == "web3"


def test_later_batches_are_not_begun(stack: Stack) -> None:
    """The hosts that have not been rolled never are."""
    field = Field(3, 1)
    field.agents["web2"].fails["roll"] = GateFailed("broken")
    with pytest.raises(GateFailed):
        field.deploy(stack)

    assert field.who("roll") == ["web3", "web2"]


def test_held_lock_gives_the_others_back(stack: Stack) -> None:
    """On every host or none; nothing is planned."""
    field = Field(3, 1)
    field.agents["web2"].fails["lock"] = LockHeld("ann@desk is deploying here", host="web2")
    with pytest.raises(LockHeld):
        field.deploy(stack)

    assert field.who("lock") == ["web1", "web2"]
    assert field.order() == ["lock", "revert"]


def test_lost_host_is_said_and_the_others_go_back(stack: Stack) -> None:
    """Its own agent takes it back."""
    field = Field(3, 1)
    lost = HostUnreachable("the connection to it is gone")
    field.agents["web3"].fails = {"roll": lost, "revert": lost}
    with pytest.raises(HostUnreachable):
        field.deploy(stack)
    ((host, event),) = [pair for pair in field.watcher.events if pair[1]["kind"] == "reverted"]

    assert sorted(field.who("revert")) == ["web1", "web2", "web3"]
    assert host == "web3"
    assert "takes back by itself" in event["text"]


def test_many_hosts_go_by_batches(stack: Stack) -> None:
    """200 hosts, a tenth at once: ten rolls one after the other, each of twenty."""
    field = Field(200, "10%")
    plan = field.deploy(stack)
    rolled = field.who("roll")

    assert [len(batch) for batch in plan.batches] == [20] * 10
    assert [set(rolled[first : first + 20]) for first in range(0, 200, 20)] == [set(batch) for batch in plan.batches]


def test_rollback_is_to_what_every_host_has_verified(stack: Stack) -> None:
    """The last such one that they do not all serve; nothing is built."""
    field = Field(2, 1)
    field.agents["web1"].verified = ["old", "c", "b"]
    field.agents["web2"].verified = ["old", "b", "a"]
    plan = ClusterRollback(stack, "kirsch.toml", field, field.watcher, None).run()

    assert (plan.release, plan.command) == ("b", None)
    assert field.who("plan") == field.who("command") == []
    assert sorted(field.who("plan_rollback")) == ["web1", "web2"]


def test_rollback_without_a_common_release_changes_nothing(stack: Stack) -> None:
    """No lock is taken for it."""
    field = Field(2, 1)
    field.agents["web1"].verified = ["c"]
    field.agents["web2"].verified = ["b"]
    with pytest.raises(DeployError, match="no release to go back to"):
        ClusterRollback(stack, "kirsch.toml", field, field.watcher, None).run()

    assert field.order() == ["verified"]
