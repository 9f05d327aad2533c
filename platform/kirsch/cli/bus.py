"""The verbs that speak to all workers over the bus: `config`, `flags`, `loglevel`, `purge`, `call`, `maintenance`,
`members`.
"""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from kirsch.cli.fleet import reach
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import open_console, show_table
from kirsch.errors import ControlError
from kirsch.nginx.purge import matcher

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@click.group()
def config() -> None:
    """Change the configuration of all workers while they run; those that come later have it, too."""


@config.command("set")
@click.argument("key")
@click.argument("value")
@with_place
def config_set(place: Place, key: str, value: str) -> None:
    r"""Set KEY of the site's configuration to VALUE, in JSON, or as text.

    \b
    kirsch config set tools.gzip.on true
    kirsch config set server.max_request_body_size 1048576
    """
    _set(place, "config", key, read_value(value), f"{key} = {value}")


@config.command("undo")
@click.argument("key")
@with_place
def config_undo(place: Place, key: str) -> None:
    """Give KEY back the value that it had before it was set."""
    _known(place, "config", key)
    _set(place, "config", key, None, f"{key}: as it was")


@config.command("list")
@with_place
def config_list(place: Place) -> None:
    """Show what is set."""
    _list(place, "config")


@click.group()
def flags() -> None:
    """Switch features, as `engine.cluster.flag(NAME, visitor)` tells the applications."""


@flags.command("set")
@click.argument("name")
@click.argument("share", metavar="SHARE")
@with_place
def flags_set(place: Place, name: str, share: str) -> None:
    """Have feature NAME on for SHARE of all visitors: "on", "off", or a percentage ("12.5%")."""
    _set(place, "flags", name, read_share(share), f"{name}: {share}")


@flags.command("remove")
@click.argument("name")
@with_place
def flags_remove(place: Place, name: str) -> None:
    """Forget NAME: applications take their own default."""
    _known(place, "flags", name)
    _set(place, "flags", name, None, f"{name}: removed")


@flags.command("list")
@with_place
def flags_list(place: Place) -> None:
    """Show all features."""
    _list(place, "flags")


@click.command()
@click.argument("level", type=click.Choice([*LEVELS, "default"], case_sensitive=False))
@click.argument("logger", default="site")
@with_place
def loglevel(place: Place, level: str, logger: str) -> None:
    """Set the level of a LOGGER in all workers; "site" is CherryPy's error log, "root" the root of all."""
    value = None if level == "default" else level.upper()
    _set(place, "log_level", logger, value, f"{logger}: {level}")


@click.group()
def purge() -> None:
    """Have all workers forget."""


@purge.command("cache")
@click.argument("what", default="")
@with_place
def purge_cache(place: Place, what: str) -> None:
    """Forget the answers of the caching tool; applications that listen on `cache_purge` get WHAT."""
    _call(place, "kirsch.purge_cache", [what])


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
@with_place
def purge_sessions(place: Place, session_id: str) -> None:
    """Forget sessions in memory, all or one; applications that listen on `session_purge` get SESSION_ID."""
    _call(place, "kirsch.purge_sessions", [session_id])


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
    _call(place, channel, values, to=list(to) or None, timeout_s=timeout_s, as_json=as_json)


@click.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
@with_place
def maintenance(place: Place, switch: str) -> None:
    """Answer every request with 503 at once, on all hosts, or end that."""
    _call(place, "kirsch.maintenance", [switch == "on"], nouns="hosts")


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


VERBS: tuple[click.Command, ...] = (config, flags, loglevel, purge, call, maintenance, members)


def read_value(text: str) -> Any:
    """Return what the operator means: JSON if it is, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_share(text: str) -> float | bool:
    """Return a share in per cent: "on", "off", "12.5%".

    Raises:
        BadParameter: it is none.
    """
    if text in {"on", "off"}:
        return text == "on"
    try:
        share = float(text.removesuffix("%"))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 100:
        raise click.BadParameter(f'{text!r}: allowed: "on", "off", or a percentage from 0% to 100%')
    return share


def tell(result: dict[str, Any], what: str, nouns: str = "workers") -> None:
    """Print how many of how many did it, what they said, and who did not.

    Raises:
        ControlError: not all did it.
    """
    total = len(result["delivered"]) + len(result["failed"]) + len(result["timed_out"])
    click.echo(f"{what}: {len(result['delivered'])} of {total} {nouns}")
    for member, reply in sorted(result["replies"].items()):
        if any(one is not None for one in reply):
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


def _set(place: Place, section: str, key: str, value: Any, what: str) -> None:
    tell(reach(place).call("set", section=section, key=key, value=value), what)


def _call(
    place: Place,
    channel: str,
    args: list[Any],
    *,
    to: list[str] | None = None,
    timeout_s: float = 5.0,
    as_json: bool = False,
    nouns: str = "workers",
) -> None:
    result = reach(place).call("call", channel=channel, args=args, to=to, timeout_s=timeout_s)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    tell(result, channel.removeprefix("kirsch."), nouns)


def _known(place: Place, section: str, key: str) -> None:
    known = reach(place).call("bus")["settings"].get(section, {})
    if key not in known:
        raise ControlError(f"{key} is not set; there are: {', '.join(sorted(known)) or 'none'}", kind="unknown_key")


def _list(place: Place, section: str) -> None:
    known = reach(place).call("bus")["settings"].get(section, {})
    for key, value in sorted(known.items()):
        shown = f"{value:g}%" if section == "flags" and not isinstance(value, bool) else json.dumps(value)
        click.echo(f"{key} = {shown}")
    if not known:
        click.echo("nothing is set")
