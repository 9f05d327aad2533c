"""`kirsch deploy`: plan, print, do."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from kirsch.check.build import lacks
from kirsch.cli.hosts import HostsJson, HostsScreen
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import Screen
from kirsch.cli.status import show_next, show_status
from kirsch.nginx.binary import nginx_for
from kirsch.release.deploy import Deploy
from kirsch.release.hosts.cluster import ClusterDeploy
from kirsch.release.hosts.reach import Reach
from kirsch.release.prepare import prepare
from kirsch.supervise.client import ControlClient


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Over several hosts: what happens, a JSON object a line.")
@with_place
def deploy(place: Place, dry_run: bool, as_json: bool) -> None:
    """Deploy the stack; deployed already: roll to what is on the disk now without losing a request.

    The first deploy starts a supervisor, nginx and the workers. Every other one starts the new workers beside the
    old, waits until they are ready, moves traffic over and lets the old ones finish. If the new code does not come up
    or does not answer, the old code goes on serving, the reason is shown, and the exit status is 1.

    With an inventory of other hosts the same is done on each of them over SSH, batch after batch, all or none.
    """
    if place.is_remote:
        deploy_to_hosts(place, dry_run=dry_run, as_json=as_json)
        return
    if as_json:
        raise click.UsageError("--json is for several hosts; kirsch status --json tells of this one")
    target = place.target
    prepared = prepare(place.stack, target, ControlClient)
    lacking = lacks(prepared.plan.stack, place.stack_file, nginx_for(target.paths))
    notes = tuple(f"{finding.title}: {finding.why}; {finding.cure} ({finding.code})" for finding in lacking)
    prepared = replace(prepared, plan=replace(prepared.plan, notes=(*prepared.plan.notes, *notes)))
    screen = Screen()
    screen.planned(prepared.plan)
    if dry_run:
        return
    status = Deploy(prepared, ControlClient, screen).run()
    screen.console.print()
    show_status(screen.console, status, place)
    screen.show_notes(prepared.plan.notes)
    show_next(screen.console, place, make=bool(os.environ.get("MAKELEVEL")))


def deploy_to_hosts(place: Place, *, dry_run: bool, as_json: bool) -> None:
    """Deploy over SSH to the hosts of the inventory."""
    watcher = HostsJson() if as_json else HostsScreen()
    try:
        with Reach(place.inventory, place.inventory_file, watcher) as reach:
            plan = ClusterDeploy(place.stack, place.stack_file, reach, watcher).run(dry_run=dry_run)
    finally:
        watcher.close()
    if not dry_run and isinstance(watcher, HostsScreen):
        watcher.console.print(f"[green]✓[/] {len(plan.hosts)} hosts serve [bold]{plan.release}[/]")
