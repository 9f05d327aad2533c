"""The verbs that speak to all workers, typed at a stack that runs."""

from __future__ import annotations

from typing import Any

import click
import pytest

from kirsch.cli.bus import read_share, read_value, tell
from kirsch.errors import ControlError


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("12", 12), ('"12"', "12"), ("[1, 2]", [1, 2]), ("/srv/x", "/srv/x"), ("null", None)],
)
def test_values_are_json_or_text(text: str, value: Any) -> None:
    """What is no JSON is itself."""
    assert read_value(text) == value


@pytest.mark.parametrize(("text", "share"), [("on", True), ("off", False), ("12.5%", 12.5), ("0", 0.0), ("100%", 100)])
def test_shares(text: str, share: object) -> None:
    """Words and percentages."""
    assert read_share(text) == share


@pytest.mark.parametrize("text", ["", "some", "101%", "-1", "nan"])
def test_other_shares_are_refused(text: str) -> None:
    """With what is allowed."""
    with pytest.raises(click.BadParameter, match="allowed"):
        read_share(text)


def test_who_did_not_do_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its reason; the verb ends with 1."""
    result = {
        "delivered": ["web.1@a:1"],
        "failed": {"web.2@a:2": "ValueError: no"},
        "timed_out": ["web.3@a:3"],
        "replies": {"web.1@a:1": [7, None]},
        "degraded": "Redis is away",
    }
    with pytest.raises(ControlError) as error:
        tell(result, "purge")
    said = capsys.readouterr().out

    assert error.value.exit_status == 1
    assert said.splitlines() == [
        "purge: 1 of 3 workers",
        "  web.1@a:1: 7, null",
        "  web.2@a:2 failed: ValueError: no",
        "  web.3@a:3 did not answer in time",
        "  ! Redis is away",
    ]


def test_a_day_of_an_operator_on_the_bus(live: Any, host: Any) -> None:
    """Every verb says how many of how many did it."""
    host.wait_for(lambda status: [one["state"] for one in status["bus"]["members"]] == ["ready", "ready"])
    said = {
        "members": live("members"),
        "set": live("config", "set", "tools.gzip.on", "true"),
        "list": live("config", "list"),
        "wrong": live("config", "set", "server.socket_timeout", "soon"),
        "undo": live("config", "undo", "tools.gzip.on"),
        "undo again": live("config", "undo", "tools.gzip.on"),
        "flag": live("flags", "set", "cart", "12.5%"),
        "flags": live("flags", "list"),
        "level": live("loglevel", "debug"),
        "back": live("loglevel", "default"),
        "cache": live("purge", "cache"),
        "sessions": live("purge", "sessions"),
        "call": live("call", "nobody_listens", "1"),
        "maintenance": live("maintenance", "on"),
        "over": live("maintenance", "off"),
    }

    assert {name for name, (status, _) in said.items() if status} == {"wrong", "undo again"}
    assert "leads" in said["members"][1]
    assert "tools.gzip.on = true: 2 of 2 workers" in said["set"][1]
    assert said["list"][1] == "tools.gzip.on = true\n"
    assert "0 of 2 workers" in said["wrong"][1]
    assert "is not set; there are: none" in said["undo again"][1]
    assert said["flags"][1] == "cart = 12.5%\n"
    assert "2 of 2" in said["level"][1]
    assert "2 of 2" in said["cache"][1]
    assert "2 of 2" in said["sessions"][1]
    assert "nobody_listens: 0 of 0 workers" in said["call"][1]
    assert "maintenance: 1 of 1 hosts" in said["maintenance"][1]
