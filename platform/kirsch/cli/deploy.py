"""`kirsch deploy`: plan, print, do."""

from __future__ import annotations

import os

import click

from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import Screen
from kirsch.cli.status import show_next, show_status
from kirsch.release.deploy import Deploy
from kirsch.release.prepare import prepare
from kirsch.supervise.client import ControlClient


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@with_place
def deploy(place: Place, dry_run: bool) -> None:
    """Deploy the stack; deployed already: roll to what is on the disk now without losing a request.

    The first deploy starts a supervisor, nginx and the workers. Every other one starts the new workers beside the
    old, waits until they are ready, moves traffic over and lets the old ones finish. If the new code does not come up
    or does not answer, the old code goes on serving, the reason is shown, and the exit status is 1.
    """
    target = place.target
    prepared = prepare(place.stack, target, ControlClient)
    screen = Screen()
    screen.planned(prepared.plan)
    if dry_run:
        return
    status = Deploy(prepared, ControlClient, screen).run()
    screen.console.print()
    show_status(screen.console, status, place)
    screen.show_notes(prepared.plan.notes)
    show_next(screen.console, place, make=bool(os.environ.get("MAKELEVEL")))
