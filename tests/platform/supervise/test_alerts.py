"""Who is told when a pool is in trouble."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kirsch.spec import Pool
from kirsch.supervise import alerts
from kirsch.supervise.alerts import AGAIN_S, Alerts
from kirsch.supervise.events import Events
from kirsch.supervise.worker import Launch

LAUNCH = Launch("python", {"PATH": "/usr/bin:/bin", "KIRSCH_STACK": "shop"}, "/")


def tell(command: str, story: Callable[[Events, list[float]], None]) -> Alerts:
    """Return the alerts of a pool *web* after *story*, and after its commands."""

    async def run() -> Alerts:
        events, clock = Events(), [0.0]
        found = Alerts("web", lambda: Pool(name="web", alert=command), lambda: LAUNCH, events, lambda: clock[0])
        story(events, clock)
        await asyncio.gather(*found._running)
        return found

    return asyncio.run(run())


def test_the_command_is_told_everything(tmp_path: Path) -> None:
    """The event on its standard input, kind, worker and stack in its environment."""
    command = f'cat > {tmp_path}/event; echo "$KIRSCH_STACK $KIRSCH_ALERT $KIRSCH_WORKER" > {tmp_path}/who'
    found = tell(command, lambda events, _: events.say("parked", worker="web.1", retry_s=60))
    event = json.loads((tmp_path / "event").read_text())

    assert (event["kind"], event["worker"], event["retry_s"]) == ("parked", "web.1", 60)
    assert (tmp_path / "who").read_text() == "shop parked web.1\n"
    assert found.counts == {"parked": 1}


def test_only_alerts_of_the_pool(tmp_path: Path) -> None:
    """Neither what is no alert, nor what is another pool's, also where the names begin alike."""

    def story(events: Events, clock: list[float]) -> None:
        events.say("ready", worker="web.1")
        events.say("parked", worker="web2.1")
        events.say("parked", worker="other.1")

    assert tell(f"touch {tmp_path}/told", story).counts == {}
    assert not (tmp_path / "told").exists()


def test_the_same_is_not_told_all_the_time(tmp_path: Path) -> None:
    """Counted each time; told again after five minutes; another worker's at once."""

    def story(events: Events, clock: list[float]) -> None:
        for at, worker in ((0.0, "web.1"), (10.0, "web.1"), (10.0, "web.2"), (AGAIN_S, "web.1")):
            clock[0] = at
            events.say("parked", worker=worker)

    found = tell(f"echo $KIRSCH_WORKER >> {tmp_path}/told", story)

    assert found.counts == {"parked": 4}
    assert sorted((tmp_path / "told").read_text().split()) == ["web.1", "web.1", "web.2"]


@pytest.mark.parametrize(
    ("command", "said"), [("echo no route; exit 7", "status 7: no route"), ("sleep 60", "took more")]
)
def test_a_command_that_fails_is_logged(
    command: str, said: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its status and what it printed; one that hangs is killed."""
    monkeypatch.setattr(alerts, "COMMAND_S", 0.3 if command == "sleep 60" else 30.0)
    with caplog.at_level(logging.ERROR):
        tell(command, lambda events, _: events.say("stuck", worker="web.1"))

    assert said in caplog.text


def test_a_crash_loop_fires_one(host: Any) -> None:
    """A real worker that dies again and again: its seat is parked, the stack degraded, the command has run."""
    told = Path(host.folder, "told")
    state = host.state(workers=1, alert=f"cat > {told}.new && mv {told}.new {told}")
    host.start(msgspec.structs.replace(state, python="/bin/false"))  # ends at once, however busy the machine is
    status = host.wait_for(lambda status: told.exists() and status, timeout_s=100)
    event = json.loads(told.read_text())

    assert (event["kind"], event["worker"]) == ("parked", "web.1")
    assert status["pools"][0]["alerts"] == {"parked": 1}
    assert any("web.1" in reason and "again and again" in reason for reason in status["degraded"])
