"""`kirsch rollback` and `kirsch history`: what was deployed, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click
import msgspec
from rich.text import Text

from kirsch.cli.hosts import HostsJson, HostsScreen
from kirsch.cli.hosts_status import hosts_history
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import Screen, open_console, show_table
from kirsch.cli.status import show_status
from kirsch.release.deploy import Deploy
from kirsch.release.history import Line, read_lines
from kirsch.release.hosts.cluster import ClusterRollback
from kirsch.release.hosts.reach import Reach
from kirsch.release.rollback import prepare_rollback
from kirsch.supervise.client import ControlClient

STYLES = {"done": "green", "failed": "red"}


@click.command(short_help="Go back to a release that served well before.")
@click.argument("release", required=False)
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Over several hosts: what happens, a JSON object a line.")
@with_place
def rollback(place: Place, release: str | None, dry_run: bool, as_json: bool) -> None:
    """Go back to RELEASE, or to the last one before the current that served well: kirsch history lists them.

    Its files and packages are still there, so nothing is built and no release command runs: what a migration has
    changed stays changed. Workers are rolled as by a deploy, over several hosts batch after batch, all or none.
    """
    if place.is_remote:
        watcher = HostsJson() if as_json else HostsScreen()
        try:
            with Reach(place.inventory, place.inventory_file, watcher) as reach:
                ClusterRollback(place.stack, place.stack_file, reach, watcher, release).run(dry_run=dry_run)
        finally:
            watcher.close()
        return
    if as_json:
        raise click.UsageError("--json is for several hosts; kirsch status --json tells of this one")
    prepared = prepare_rollback(place.target, ControlClient, release=release)
    screen = Screen()
    screen.planned(prepared.plan)
    if dry_run:
        return
    status = Deploy(prepared, ControlClient, screen).run()
    screen.console.print()
    show_status(screen.console, status, place)


@click.command(short_help="Show what was deployed, by whom, and how it ended.")
@click.option("--lines", "-n", default=20, show_default=True, metavar="COUNT", help="How many last ones.")
@click.option("--json", "as_json", is_flag=True, help="The same for programs.")
@with_place
def history(place: Place, lines: int, as_json: bool) -> None:
    """Show what was deployed, by whom, and how it ended; what ended with "done" can be rolled back to."""
    if place.is_remote:
        histories = {name: found[-lines:] for name, found in hosts_history(place).items()}
        if as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(histories)).decode())
            return
        for name, found in histories.items():
            show_table(open_console(), name, HEADS, rows_of(found))
        return
    local = read_lines(place.target.shell, place.target.paths.history)[-lines:]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(local)).decode())
        return
    show_table(open_console(), place.stack.name, HEADS, rows_of(local))


HEADS = ("when", "verb", "release", "before", "outcome", "took", "by", "why")


def rows_of(found: Iterable[Line]) -> list[Sequence[object]]:
    """Return what a table says of the lines of a history."""
    return [
        (
            line.at,
            line.verb,
            line.release,
            line.previous or "-",
            Text(line.outcome, style=STYLES.get(line.outcome, "")),
            f"{line.took_s:.1f} s",
            line.by,
            line.reason or "",
        )
        for line in found
    ]
