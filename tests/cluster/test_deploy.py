"""A stack on three hosts, under load the whole time: the tests of this file are one story, told in order.

With ``KIRSCH_CLUSTER_FULL`` set the coordinator is killed at every step, otherwise at one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(180)]

KILLS = {
    "build": ("web1", "build"),
    "environment": ("web2", "environment"),
    "release command": ("web1", "release command"),
    "first roll": ("web1", "roll"),
    "first health": ("web1", "health"),
    "second roll": ("web2", "roll"),
    "third switch": ("web3", "switch"),
    "third health": ("web3", "health"),
}
"""Where the coordinator is killed: at the beginning of which step of which host."""
KILL_AT = list(KILLS) if os.environ.get("KIRSCH_CLUSTER_FULL") else ["second roll"]

Wait = Callable[..., None]


def lost(tallies: list[dict[str, Any]]) -> list[Any]:
    """What failed, of all hosts."""
    return [(tally["failures"], tally["examples"][:3]) for tally in tallies if tally["failures"]]


def wait_for_step(process: subprocess.Popen[str], host: str, step: str) -> None:
    """Read what a deploy says until the step begins on the host."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if f'"host":"{host}"' in line and '"began"' in line and f'"{step}"' in line:
            return
    raise AssertionError("".join(said))


def test_first_deploy(site: Any) -> None:
    """Every host serves the release, the release command ran once, and nobody holds a lock."""
    ran = site.kirsch("deploy")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert site.commands() == list(set(site.releases().values()))
    assert [line["outcome"] for name in site.rig.hosts for line in site.history(name)] == ["done"] * 3
    assert site.locks() == []
    assert lost(site.shoot().stop()) == []


def test_second_deploy_loses_nothing(site: Any) -> None:
    """Batch after batch, with what the hosts have already; the load sees the old release and the new one everywhere."""
    before = set(site.releases().values())
    site.change()
    fire = site.shoot()
    ran = site.kirsch("deploy")
    tallies = fire.stop()
    after = set(site.releases().values())

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert lost(tallies) == []
    assert len(before | after) == 2
    assert [set(tally["headers_seen"]) for tally in tallies] == [before | after] * 3


def test_broken_release_leaves_the_old_everywhere(site: Any) -> None:
    """It comes up on the first host and not on the second: both serve the old one, the reason is on the screen."""
    before = site.releases()
    site.break_on("web2")
    fire = site.shoot()
    ran = site.kirsch("deploy")
    tallies = fire.stop()

    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "RuntimeError: not on web2" in ran.stderr
    assert "(web2, " in ran.stderr
    assert lost(tallies) == []
    assert [len(tally["headers_seen"]) for tally in tallies] == [2, 1, 1]
    assert site.releases() == before
    assert ["web2: " in site.history(name)[-1]["reason"] for name in site.rig.hosts] == [True] * 3
    assert site.locks() == []


@pytest.mark.parametrize("where", KILL_AT)
def test_killed_coordinator_leaves_the_old_everywhere(site: Any, where: str, wait_until: Wait) -> None:
    """Each agent takes its host back by itself and gives its lock back."""
    before = site.releases()
    site.change()
    fire = site.shoot()
    process = site.start("deploy", "--json")
    wait_for_step(process, *KILLS[where])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: site.locks() == [], 60)
    tallies = fire.stop()

    assert lost(tallies) == []
    assert site.releases() == before
    assert {site.history(name)[-1]["reason"] for name in site.rig.hosts} == {"the coordinator is gone"}


def test_lock_of_another_is_respected(site: Any) -> None:
    """One host is being deployed to by somebody else: who that is is said, nothing is changed, no other lock stays."""
    before = site.releases()
    lock = site.rig.hosts["web2"].folder / "shop" / "deploy.lock"
    holder = {"who": "ann@desk2", "machine": "desk2/1", "pid": 1, "started": "1", "verb": "kirsch deploy", "token": "1"}
    lock.write_text(json.dumps({**holder, "since": time.time(), "until": time.time() + 3600}))
    ran = site.kirsch("deploy")
    locks = site.locks()
    lock.unlink()

    assert ran.returncode == 1
    assert "ann@desk2 is deploying here: `kirsch deploy`" in ran.stderr
    assert "(web2, lock)" in ran.stderr
    assert locks == ["web2"]
    assert site.releases() == before
