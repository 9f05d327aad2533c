"""The verbs that speak to all workers over the bus: `purge`, `call`, `maintenance`, `members`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from kirsch.cli.fleet import reach
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import open_console, show_table
from kirsch.errors import ControlError
from kirsch.link.setting import MAINTENANCE, PURGE_CACHE
from kirsch.nginx.purge import matcher


@click.group()
def purge() -> None:
    """Have all workers forget."""


@purge.command("cache")
@click.argument("what", default="")
@with_place
def purge_cache(place: Place, what: str) -> None:
    r"""Forget answers of the caching tool, and what applications keep themselves: WHAT, or everything.

    \b
    kirsch purge cache /news                  that page, whatever its query, on every host
    kirsch purge cache "https://h.example/*"  everything that begins so
    """
    _call(place, PURGE_CACHE, [what], does="forgotten")


@purge.command("answers")
@click.argument("what", metavar="URL")
@with_place
def purge_answers(place: Place, what: str) -> None:
    """Forget the answers that nginx keeps (`cache` of a route), on all hosts: those to URL.

    \b
    kirsch purge answers https://shop.example/news     that address, with exactly this query
    kirsch purge answers "https://shop.example/n*"     everything that begins so
    kirsch purge answers "*"                           all
    """  # noqa: D301 (click wants the character itself)
    try:
        matcher(what)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    _call(place, "kirsch.purge_answers", [what], nouns="hosts", timeout_s=60.0)


@purge.command("sessions")
@click.argument("session_id", default="")
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only sessions that hold this; may be repeated.")
@click.option("--timeout-s", default=60.0, show_default=True, help="How long answers are waited for.")
@with_place
def purge_sessions(place: Place, session_id: str, where: tuple[str, ...], timeout_s: float) -> None:
    r"""End sessions in every store: the one SESSION_ID, those that hold a value, or all.

    \b
    kirsch purge sessions --where username=alice
    """
    if session_id and where:
        raise click.BadParameter("an id, or --where")
    wanted = read_settings(where) if where else None
    result = reach(place).call("purge_sessions", id=session_id, where=wanted, timeout_s=timeout_s)
    tell(result, "purge sessions", does="removed")


@click.command()
@click.argument("channel")
@click.argument("args", nargs=-1)
@click.option("--to", multiple=True, metavar="NAME", help='Only to a worker ("web.1") or a pool ("web").')
@click.option("--timeout-s", default=5.0, show_default=True, help="How long answers are waited for.")
@click.option("--json", "as_json", is_flag=True, help="The whole answer, for programs.")
@with_place
def call(
    place: Place, channel: str, args: tuple[str, ...], to: tuple[str, ...], timeout_s: float, as_json: bool
) -> None:
    """Call the listeners of CHANNEL in all workers that have opened it, with ARGS (JSON, or text)."""
    values = [read_value(one) for one in args]
    result = reach(place).call("call", channel=channel, args=values, to=list(to) or None, timeout_s=timeout_s)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        tell(result, channel)


@click.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
@with_place
def maintenance(place: Place, switch: str) -> None:
    """Answer every request with 503 at once, on all hosts, or end that."""
    _call(place, MAINTENANCE, [switch == "on"], nouns="hosts")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything that is known of the bus, for programs.")
@with_place
def members(place: Place, as_json: bool) -> None:
    """Show who is on the bus, who leads, and who holds which lease."""
    found = reach(place).call("bus")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    console = open_console()
    rows = [
        (one["name"], one["host"], one["pid"], one["pool"], one["generation"], one["state"], _leads(one, found))
        for one in found["members"]
    ]
    show_table(console, "members", ("worker", "host", "pid", "pool", "generation", "state", ""), rows)
    held = [(name, one["holder"], one["token"], f"{one['left_s']:g} s") for name, one in found["leases"].items()]
    if held:
        show_table(console, "leases", ("name", "holder", "token", "for"), held)
    if found["degraded"]:
        click.echo(f"! {found['degraded']}")


VERBS: tuple[click.Command, ...] = (purge, call, maintenance, members)


def read_value(text: str) -> Any:
    """Return what the operator means: JSON if it is, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_settings(words: Sequence[str]) -> dict[str, Any]:
    """Return what ``KEY=VALUE...`` says, or ``KEY VALUE``.

    Raises:
        BadParameter: it says nothing.
    """
    if len(words) == 2 and "=" not in words[0]:
        words = [f"{words[0]}={words[1]}"]
    found = {}
    for word in words:
        key, equals, text = word.partition("=")
        value = read_value(text)
        if not key or not equals or value is None:
            raise click.BadParameter(f"{word!r}: allowed: KEY=VALUE, with a value that is not null")
        found[key] = value
    return found


def tell(result: dict[str, Any], what: str, nouns: str = "workers", does: str = "") -> None:
    """Print how many of how many did it, what they said, and who did not.

    Args:
        result: of a call.
        what: was done.
        nouns: who did it.
        does: what has become of what they count ("removed"): then replies are sums by name.

    Raises:
        ControlError: not all did it.
    """
    total = len(result["delivered"]) + len(result["failed"]) + len(result["timed_out"])
    click.echo(f"{what}: {len(result['delivered'])} of {total} {nouns}")
    for name, count in sorted(_sums(result).items() if does else ()):
        click.echo(f"  {name}: {count} {does}")
    for member, reply in sorted(result["replies"].items()):
        if not does and any(one is not None for one in reply):
            click.echo(f"  {member}: {', '.join(json.dumps(one, ensure_ascii=False) for one in reply)}")
    for member, why in sorted(result["failed"].items()):
        click.echo(f"  {member} failed: {why}")
    for member in sorted(result["timed_out"]):
        click.echo(f"  {member} did not answer in time")
    if result["degraded"]:
        click.echo(f"  ! {result['degraded']}")
    if result["failed"] or result["timed_out"] or result["degraded"]:
        raise ControlError(f"{what}: not everybody did it", kind="partial")


def _leads(member: dict[str, Any], found: dict[str, Any]) -> str:
    return "leads" if member["id"] == found["leader"] else ""


def _sums(result: dict[str, Any]) -> Counter[str]:
    """Add up what the members count, each by the names of its own."""
    sums: Counter[str] = Counter()
    for reply in result["replies"].values():
        for one in reply:
            sums.update(one)
    return sums


def _call(
    place: Place, channel: str, args: list[Any], *, nouns: str = "workers", does: str = "", timeout_s: float = 5.0
) -> None:
    result = reach(place).call("call", channel=channel, args=args, timeout_s=timeout_s)
    tell(result, channel.removeprefix("kirsch."), nouns, does)
