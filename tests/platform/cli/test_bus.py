"""The verbs that speak to all workers, typed at a stack that runs."""

from __future__ import annotations

from typing import Any

import click
import pytest

from kirsch.cli.bus import read_settings, read_value, tell
from kirsch.cli.settings import read_scope, read_share
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


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["tools.gzip.on", "true"], {"tools.gzip.on": True}),
        (["tools.gzip.on=true"], {"tools.gzip.on": True}),
        (["a.b=1", "c.d=x=y", "e.f="], {"a.b": 1, "c.d": "x=y", "e.f": ""}),
    ],
)
def test_settings_are_pairs(words: list[str], settings: dict[str, Any]) -> None:
    """Several at once, or one as two words."""
    assert read_settings(words) == settings


@pytest.mark.parametrize("words", [["a.b"], ["=1"], ["a.b=null"], ["a.b", "null"], ["a.b=1", "c"]])
def test_other_settings_are_refused(words: list[str]) -> None:
    """Nothing is not a value: `undo` takes back."""
    with pytest.raises(click.BadParameter, match="KEY=VALUE"):
        read_settings(words)


def test_a_scope_is_the_site_or_a_path_of_an_app() -> None:
    """A path alone belongs to nobody."""
    assert read_scope(None, None) == ("config", "")
    assert read_scope("shop", None) == ("app_config", "shop / ")
    assert read_scope("shop", "/admin/") == ("app_config", "shop /admin ")
    for app, path in ((None, "/admin"), ("shop", "admin"), ("shop", "/a\n")):
        with pytest.raises(click.BadParameter):
            read_scope(app, path)


def test_counts_are_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, over all who did it."""
    replies = {"web.1@a:1": [{"prices": 2, "tools.caching": 0}], "web.2@a:2": [{"tools.caching": 0}], "web.3@a:3": [{}]}
    result = {"delivered": list(replies), "failed": {}, "timed_out": [], "degraded": "", "replies": replies}
    tell(result, "purge_cache", does="forgotten")

    assert capsys.readouterr().out.splitlines() == [
        "purge_cache: 3 of 3 workers",
        "  prices: 2 forgotten",
        "  tools.caching: 0 forgotten",
    ]


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
        "app": live(
            "config", "set", "--app", "shop", "--path", "/x", "tools.gzip.on=true", "tools.gzip.compress_level=3"
        ),
        "no such tool": live("config", "set", "--app", "shop", "tools.gzipp.on=true"),
        "list": live("config", "list"),
        "app undo": live("config", "undo", "--app", "shop", "--path", "/x", "tools.gzip.on"),
        "app undo too": live("config", "undo", "--app", "shop", "--path", "/x", "tools.gzip.compress_level"),
        "wrong": live("config", "set", "server.socket_timeout", "soon"),
        "undo": live("config", "undo", "tools.gzip.on"),
        "undo again": live("config", "undo", "tools.gzip.on"),
        "flag": live("flags", "set", "cart", "12.5%"),
        "flags": live("flags", "list"),
        "level": live("loglevel", "debug"),
        "back": live("loglevel", "default"),
        "cache": live("purge", "cache"),
        "sessions": live("purge", "sessions"),
        "of somebody": live("purge", "sessions", "--where", "username=alice"),
        "nobody's drain": live("drain", "web.1", "--host", "no.such.host"),
        "call": live("call", "nobody_listens", "1"),
        "maintenance": live("maintenance", "on"),
        "over": live("maintenance", "off"),
    }

    assert {name for name, (status, _) in said.items() if status} == {
        "wrong", "undo again", "no such tool", "nobody's drain"
    }  # fmt: skip
    assert "leads" in said["members"][1]
    assert "tools.gzip.on = true: 2 of 2 workers" in said["set"][1]
    assert "tools.gzip.compress_level = 3: 2 of 2 workers" in said["app"][1]
    assert "Did you mean 'gzip'" in said["no such tool"][1]
    assert said["list"][1].splitlines() == [
        "tools.gzip.on = true",
        "shop /x tools.gzip.compress_level = 3",
        "shop /x tools.gzip.on = true",
    ]
    assert "there is no host no.such.host on the bus; there are: " in said["nobody's drain"][1]
    assert "0 of 2 workers" in said["wrong"][1]
    assert "is not set; there are: none" in said["undo again"][1]
    assert said["flags"][1] == "cart = 12.5%\n"
    assert "2 of 2" in said["level"][1]
    assert "2 of 2" in said["cache"][1]
    assert "2 of 2" in said["sessions"][1]
    assert "nobody_listens: 0 of 0 workers" in said["call"][1]
    assert "maintenance: 1 of 1 hosts" in said["maintenance"][1]
