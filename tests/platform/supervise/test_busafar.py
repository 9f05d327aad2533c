"""Two supervisors' buses that meet in a Redis: settings everywhere or nowhere, and what one has another do."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from cherrypy.process.wspbus import Bus as Engine
from kirsch.errors import ControlError
from kirsch.link import wire
from kirsch.link.cluster import Cluster
from kirsch.link.lines import SocketLine
from kirsch.link.setting import CHECK_SETTINGS
from kirsch.spec import App, HostPaths
from kirsch.spec.bus import Bus
from kirsch.supervise.bus import BusHub
from kirsch.supervise.busverbs import BusVerbs, acts_of
from kirsch.supervise.handover import Handover


class Site:
    """One host: the bus of a supervisor, its verbs, and one worker that refuses what it is told to."""

    def __init__(self, folder: str, name: str) -> None:
        self.paths = HostPaths(root=f"{folder}/{name}", run=f"{folder}/{name}")
        os.makedirs(self.paths.root)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.refuses = ""
        self.refuses_late = ""
        self.worker: Any = None
        verbs = {verb: self._verb(verb) for verb in ("drain", "undrain", "status", "stop")}
        stack = SimpleNamespace(apps={"shop": App(name="shop", entry="shop:Root", pool="web")})
        self.bus = BusHub(self.paths, list, acts_of(self, verbs))  # type: ignore[arg-type]
        self.bus.host = name
        self.state = SimpleNamespace(stack=stack)
        self.verbs = BusVerbs(self).table()  # type: ignore[arg-type]

    def _verb(self, name: str) -> Callable[..., Any]:
        async def act(args: dict[str, Any]) -> Any:
            self.told.append((name, args))
            if args.get("workers") == ["web.9"]:
                raise ControlError("there is no worker web.9", kind="unknown_worker")
            workers = [{"name": f"web.{number}", "state": "drained", "line": "x" * 1000} for number in range(1, 500)]
            return {"pools": [{"workers": workers}], "secret": 1} if name == "status" else {"workers": args["workers"]}

        return act

    async def start(self, url: str) -> None:
        """Listen, and have a worker."""
        await self.bus.start("demo", Bus(url=url), Handover())
        self.bus._server.identify = lambda pid, uid, member: member  # type: ignore[union-attr]
        self.worker = Cluster(
            Engine(), wire.Member(name="web.1", pool="web", state="ready"), SocketLine(self.paths.bus_socket)
        )
        self.worker.subscribe_to(CHECK_SETTINGS, self._check)
        self.worker.on_setting.append(self._apply)
        self.worker.subscribe()
        assert await asyncio.to_thread(self.worker.join, 20)

    def _check(self, section: str, values: dict[str, Any]) -> None:
        if self.refuses in values:
            raise ValueError(f"{self.refuses} is refused")

    def _apply(self, section: str, key: str, value: Any) -> None:
        if key == self.refuses_late and value is not None:
            raise ValueError(f"{key} cannot be put in force")


@pytest.fixture(scope="module")
def sites() -> Iterator[Any]:
    """Two hosts that know of each other: ``do(coroutine)``, ``alpha``, ``beta``."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    folder = tempfile.mkdtemp(prefix="kb", dir="/tmp")
    redis = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", f"{folder}/s", "--save", "", "--dir", folder], stdout=subprocess.DEVNULL
    )
    with asyncio.Runner() as runner:
        alpha, beta = Site(folder, "alpha"), Site(folder, "beta")

        async def meet() -> None:
            for site in (alpha, beta):
                await site.start(f"redis+unix://{folder}/s")
            async with asyncio.timeout(60):
                while not all(len(site.worker.members) == 2 for site in (alpha, beta)):
                    await asyncio.sleep(0.01)

        runner.run(meet())
        yield SimpleNamespace(do=runner.run, alpha=alpha, beta=beta)

        async def part() -> None:
            for site in (alpha, beta):
                await asyncio.to_thread(site.worker.leave)
                await site.bus.stop()

        runner.run(part())
    redis.kill()
    redis.wait()
    shutil.rmtree(folder)


def settings_of(sites: Any) -> list[dict[str, Any]]:
    """What both hubs keep, and both workers have, of the site's configuration."""
    found = [site.bus.hub.settings.get("config", {}) for site in (sites.alpha, sites.beta)]
    return [
        dict(one) for one in (*found, *(site.worker.settings.get("config", {}) for site in (sites.alpha, sites.beta)))
    ]


def test_settings_are_everybodys(sites: Any) -> None:
    """Kept on both hosts, and taken back on both."""
    values = {"tools.a.on": True, "tools.a.x": 1}
    set_ = sites.do(sites.alpha.verbs["set"]({"section": "config", "values": values}))
    during = settings_of(sites)
    undone = sites.do(sites.beta.verbs["set"]({"section": "config", "values": dict.fromkeys(values)}))

    assert len(set_["delivered"]) == len(undone["delivered"]) == 2
    assert during == [values] * 4
    assert settings_of(sites) == [{}] * 4


@pytest.mark.parametrize("when", ["refuses", "refuses_late"])
def test_one_that_refuses_keeps_it_from_everybody(sites: Any, when: str) -> None:
    """Asked, or when it is put in force: nobody has anything of it, and each is named with its reason."""
    before = settings_of(sites)
    sites.do(sites.alpha.verbs["set"]({"section": "config", "values": {"tools.b.x": 1}}))
    setattr(sites.beta, when, "tools.b.on")
    result = sites.do(sites.alpha.verbs["set"]({"section": "config", "values": {"tools.b.on": True, "tools.b.x": 2}}))
    setattr(sites.beta, when, "")
    during = settings_of(sites)
    sites.do(sites.alpha.verbs["set"]({"section": "config", "values": {"tools.b.x": None}}))

    assert result["delivered"] == []
    assert "tools.b.on" in result["failed"][sites.beta.worker.me.id]
    assert result["failed"][sites.alpha.worker.me.id] == "unchanged, as others refuse it"
    assert before == [{}] * 4
    assert during == [{"tools.b.x": 1}] * 4


def test_a_supervisor_does_what_another_hosts_operator_says(sites: Any) -> None:
    """Only what is allowed, on that host alone; what goes wrong there is said here."""
    ask = sites.alpha.verbs["afar"]
    drained = sites.do(ask({"host": "beta", "act": "drain", "args": {"workers": ["web.1"]}}))
    status = sites.do(ask({"host": "beta", "act": "status", "args": {"workers": ["web.1"]}}))
    here = sites.do(ask({"host": "alpha", "act": "undrain", "args": {"workers": ["web.2"]}}))
    with pytest.raises(ControlError, match=r"beta: there is no worker web\.9"):
        sites.do(ask({"host": "beta", "act": "drain", "args": {"workers": ["web.9"]}}))
    with pytest.raises(ControlError, match=r"no host gamma on the bus; there are: alpha, beta"):
        sites.do(ask({"host": "gamma", "act": "drain", "args": {"workers": ["web.1"]}}))
    with pytest.raises(ControlError, match="allowed verbs: drain, undrain, status"):
        sites.do(ask({"host": "beta", "act": "stop", "args": {}}))
    forged = sites.do(sites.alpha.bus.post("kirsch.ask", ["stop", {}], to=["supervisor@beta:0"]))

    assert drained == here | {"workers": ["web.1"]}
    assert [one["name"] for one in status["pools"][0]["workers"]] == ["web.1"]
    assert "secret" not in status
    assert [verb for verb, _ in sites.beta.told] == ["drain", "status", "drain"]
    assert [verb for verb, _ in sites.alpha.told] == ["undrain"]
    assert "allowed verbs" in forged["failed"]["supervisor@beta:0"]
