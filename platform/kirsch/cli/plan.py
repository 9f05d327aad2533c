"""`kirsch plan`: what a deploy would change in nginx and the pools, and what that does to connections."""

from __future__ import annotations

import tempfile
from dataclasses import asdict

import click
import msgspec
from rich.console import Console
from rich.text import Text

from kirsch.check.build import lacks
from kirsch.check.change import Change, compare
from kirsch.cli.findings import findings_as_data, show_findings
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import open_console
from kirsch.errors import NginxError
from kirsch.nginx.binary import Nginx, nginx_for, open_file_limit, worker_user
from kirsch.nginx.generations import Generations
from kirsch.nginx.site import render_site
from kirsch.nginx.survey import look, stand_in
from kirsch.nginx.trial import try_files
from kirsch.release.prepare import prepare
from kirsch.spec import HostPaths, Stack
from kirsch.supervise.client import ControlClient

GENERATION = "0"
CHANGES = 2
"""Exit status for "there is something to apply"."""

STYLES = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The same for programs.")
@with_place
def plan(place: Place, as_json: bool) -> None:
    """Show what a deploy would change in nginx's configuration and the pools, and what that does to connections.

    Nothing is changed on the disk, nobody is signalled. Exit status 0: nothing would change; 2: something would;
    1: nginx refuses what
    the stack makes. A file that is wrong ends with 2 as well, and says so on standard error.
    """
    prepared = prepare(place.stack, place.target, ControlClient)
    paths, before = place.target.paths, prepared.before
    # the release is not there yet: what the applications' files say is read where it will come from
    stack = prepared.after.stack.with_directory(place.stack.directory)
    generations = Generations(paths)
    current = generations.current() if before.status is not None else None
    old = generations.read(current) if current else {}
    nginx = nginx_for(paths)
    new = render_and_try(stack, paths, nginx)
    change = compare(before.state.stack if before.state else None, stack, old, new)
    lacking = list(lacks(stack, place.stack_file, nginx))
    if as_json:
        data = asdict(change) | {"lacks": findings_as_data(lacking)}
        click.echo(msgspec.json.format(msgspec.json.encode(data)).decode())
    else:
        show_change(open_console(), change, is_running=bool(old))
        if lacking:
            show_findings(open_console(), lacking)
    if not change.is_none:
        raise click.exceptions.Exit(CHANGES)


def show_change(console: Console, change: Change, *, is_running: bool) -> None:
    """Print the diff, and what follows from it."""
    for file in change.files:
        console.print(Text.assemble((f"nginx {file.what} ", "bold"), file.name))
        for line in file.diff if is_running else ():
            console.print(Text(f"    {line}", style=STYLES.get(line[:1], "dim")))
    for pool in change.pools:
        console.print(Text.assemble((f"pool {pool.what} ", "bold"), pool.name))
        for key, (before, after) in pool.keys.items():
            console.print(f"    {key}: ", Text(before, style="red"), "→", Text(after, style="green"))
    if change.files or change.pools:
        console.print()
    for sentence in consequences(change, is_running=is_running):
        console.print(Text.assemble(("  · ", "dim"), sentence))


def consequences(change: Change, *, is_running: bool) -> list[str]:
    """Say what applying it does, a sentence each."""
    if not is_running:
        return ["nginx is started: nothing runs there yet"]
    said = []
    if change.reload:
        said.append("nginx is reloaded: requests under way are finished, idle connections of clients are closed")
        said.append(f"WebSockets and streams that go on for more than {change.patience} are cut")
    else:
        said.append("nginx is not reloaded: no connection is cut")
    said += [f"the zone {zone} is new and begins empty" for zone in change.zones_new]
    said += [f"the zone {zone} is gone with what it counted" for zone in change.zones_gone]
    said += [f"{address} is listened on" for address in change.listen_new]
    said += [f"{address} is closed: who has a connection is served to its end" for address in change.listen_gone]
    said += [f"the workers of pool {pool.name} are replaced one by one" for pool in change.pools if pool.keys]
    return said


def render_and_try(stack: Stack, paths: HostPaths, nginx: Nginx) -> dict[str, str]:
    """Return the files of nginx for *stack* as it would be deployed; nothing is made outside of a scratch folder.

    Raises:
        NginxError: nginx refuses them.
    """
    ground = look(stack, paths)
    files = render_site(
        stack,
        paths,
        nginx.version,
        generation=GENERATION,
        user=worker_user(),
        modules=nginx.modules,
        loads=nginx.loads,
        open_files=open_file_limit(),
        ground=ground,
    )
    with tempfile.TemporaryDirectory(prefix="kirsch-") as folder:
        lines = try_files(paths, nginx, stand_in(files, stack, paths, ground, folder))
    if lines:
        raise NginxError("nginx refuses what the stack makes", lines=lines)
    return files
