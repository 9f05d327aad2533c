"""`kirsch doctor`: are the hosts fit for a deploy, and what helps where one is not."""

from __future__ import annotations

import click
import msgspec
from rich.text import Text

from kirsch.cli.hosts import HostsJson
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import open_console, show_table
from kirsch.release.hosts.preflight import Facts
from kirsch.release.hosts.reach import Reach

HEADS = ("host", "python", "free", "clock", "nginx", "stack", "release")


@click.command(short_help="Look whether the hosts are fit for a deploy.")
@click.option("--json", "as_json", is_flag=True, help="Facts and troubles of each host, for programs.")
@with_place
def doctor(place: Place, as_json: bool) -> None:
    """Look at every host of the inventory as a deploy does first, and say what keeps a deploy from it, with its cure.

    Nothing is changed. Exit status 1 if a host is not fit.
    """
    if not place.is_remote:
        raise click.UsageError('doctor looks at the hosts of an inventory with connection = "ssh"')
    with Reach(place.inventory, place.inventory_file, HostsJson(is_silent=True)) as reach:
        troubles = reach.look(place.stack)
        facts = reach.facts
    if as_json:
        found = {
            name: {
                "facts": facts.get(name),
                "troubles": [trouble.what for trouble in troubles if trouble.host == name],
            }
            for name in place.inventory.hosts
        }
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        console = open_console()
        show_table(console, place.stack.name, HEADS, [_row(name, one) for name, one in facts.items()])
        for trouble in troubles:
            console.print(Text.assemble(("✗ ", "red"), str(trouble)))
    if troubles:
        raise click.exceptions.Exit(1)


def _row(name: str, facts: Facts) -> tuple[str, ...]:
    return (
        name,
        ".".join(map(str, facts.version)),
        f"{facts.free_bytes / 2**30:.1f} GiB",
        f"{facts.skew_s:.0f} s off" if facts.skew_s >= 1 else "fits",
        facts.nginx or "is brought",
        "runs" if facts.runs else "does not run",
        facts.current or "-",
    )
