"""`kirsch down`: stop everything of a stack on a host, and clean up after it."""

from __future__ import annotations

import click

from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import is_terminal, open_console
from kirsch.release.down import take_down
from kirsch.supervise.client import ControlClient


@click.command()
@click.option("--purge", is_flag=True, help="Remove the root too: releases, environments, logs and shared data.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before --purge.")
@click.option("--drain-s", default=5.0, show_default=True, help="How long requests that run may go on.")
@click.option("--dry-run", is_flag=True, help="Say what would be stopped and removed, and change nothing.")
@with_place
def down(place: Place, purge: bool, yes: bool, drain_s: float, dry_run: bool) -> None:
    """Stop the supervisor, the workers and nginx, and remove the run directory.

    Releases, logs and shared data stay under the root, ready for the next deploy, unless --purge is given.
    """
    target = place.target
    root = target.paths.root
    if dry_run:
        click.echo(
            f"would stop the stack {place.stack.name} and remove {target.paths.run}{f' and {root}' if purge else ''}"
        )
        return
    if purge and not yes:
        if not is_terminal():
            raise click.UsageError(f"--purge removes {root} with its data: add --yes")
        click.confirm(f"Remove {root} with everything in it, shared data too?", abort=True)
    stopped = take_down(target, ControlClient(target.paths.control_socket), purge=purge, drain_s=drain_s)
    console = open_console()
    for line in stopped:
        console.print(f"  [green]✓[/] {line}")
