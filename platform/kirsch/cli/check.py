"""`kirsch check` and `kirsch render`: what the files say, and the nginx configuration that follows, without
deploying.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import click
import msgspec

from kirsch.check.build import REFUSED
from kirsch.check.case import Case, open_case
from kirsch.check.lint import lint
from kirsch.cli.findings import findings_as_data, show_findings
from kirsch.cli.place import Place, with_place
from kirsch.cli.probe import probe_place, probings_as_data, show_probings
from kirsch.cli.screen import open_console
from kirsch.errors import NginxError, Problem, SpecError
from kirsch.nginx.binary import Nginx, find_nginx, open_file_limit, worker_user
from kirsch.nginx.scope import Ground
from kirsch.nginx.site import render_site
from kirsch.nginx.survey import survey
from kirsch.release.plan import count
from kirsch.spec import HostPaths, Stack, place_stack

GENERATION = "0"
SHOWN_ROOT = "/srv/kirsch"


@click.command()
@click.option("--probe", is_flag=True, help="Send forged header fields to the stack that runs, and show who believes.")
@click.option("--json", "as_json", is_flag=True, help="Everything that was found, for programs.")
@with_place
def check(place: Place, probe: bool, as_json: bool) -> None:
    """Read the stack and its inventory, find everything that is wrong with them, let nginx test what they make, and
    hold nginx and the applications' configurations against each other.

    Nothing is deployed, no application is run. Exit status 2 with every problem of a file if there are any, 1 for a
    finding that is an error, and with --probe for a forgery that is believed.
    """
    console = open_console(stderr=as_json)
    if probe:
        probings = probe_place(place)
        if as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(probings_as_data(probings))).decode())
        else:
            show_probings(console, probings)
        raise click.exceptions.Exit(0 if all(probing.is_good for probing in probings) else 1)
    stack = place_stack(place.stack, place.inventory, place.inventory_file)
    counts = ", ".join(
        count(len(found), word) for found, word in ((stack.apps, "app"), (stack.pools, "pool"), (stack.vhosts, "vhost"))
    )
    console.print(f"  [green]✓[/] {place.stack_file}: {counts}")
    if place.inventory_file != place.stack_file:
        console.print(f"  [green]✓[/] {place.inventory_file}: {count(len(place.inventory.hosts), 'host')}")
    nginx = find_nginx()
    findings = lint(read_case(stack, place, nginx))
    # what this binary has no words for is told in ours: nginx would only know a directive less
    if not any(finding.code in REFUSED for finding in findings):
        files = prove_rendering(stack, nginx)
        console.print(
            f"  [green]✓[/] nginx {nginx.version_text} ({nginx.path}) accepts the {files} files that they make"
        )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings_as_data(findings))).decode())
    else:
        console.print()
        show_findings(console, findings)
    if any(finding.severity == "error" for finding in findings):
        raise click.exceptions.Exit(1)


def read_case(stack: Stack, place: Place, nginx: Nginx) -> Case:
    """Read what the applications' files say.

    Raises:
        SpecError: one of them cannot be read.
    """
    try:
        return open_case(stack, place.stack_file, _paths(place).root, nginx)
    except (OSError, ValueError) as error:
        allowed = "configuration files that CherryPy can read"
        raise SpecError([Problem(file="", key="", message=str(error), allowed=allowed)]) from error


@click.command()
@click.option("--out", "-o", type=click.Path(file_okay=False), metavar="DIR", help="Write the files there instead.")
@with_place
def render(place: Place, out: str | None) -> None:
    """Print the nginx configuration of the stack, as the nginx of this machine wants it.

    Ports are those of the files: which ones are free is decided by a deploy.
    """
    stack = place_stack(place.stack, place.inventory, place.inventory_file)
    paths = _paths(place)
    files = render_files(stack, paths, find_nginx())
    if out is None:
        for name, text in files.items():
            click.echo(f"# ---- {name}\n{text.rstrip()}\n")
        return
    for name, text in files.items():
        path = Path(out) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    click.echo(f"{len(files)} files in {out}")


def render_files(stack: Stack, paths: HostPaths, nginx: Nginx, ground: Ground | None = None) -> dict[str, str]:
    """Return the files of one generation, file name to text; *ground* is what a look at the host found."""
    return render_site(
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


def prove_rendering(stack: Stack, nginx: Nginx) -> int:
    """Let nginx read the files of *stack* from a scratch directory; return how many there were.

    Raises:
        NginxError: nginx refuses them; its own words are in it. A warning counts: what it warns of is a vhost that
            would never answer.
    """
    with tempfile.TemporaryDirectory(prefix="kirsch-") as scratch:
        paths = HostPaths(root=f"{scratch}/root", run=f"{scratch}/run")
        for folder in (paths.log_dir, f"{paths.nginx}/temp", paths.slots, f"{scratch}/site"):
            os.makedirs(folder)
        files = render_files(stack, paths, nginx, survey(stack, paths))
        for name, text in files.items():
            path = Path(scratch) / "site" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        argv = [nginx.path, "-t", "-q", "-p", f"{scratch}/site", "-e", "stderr", "-c", f"{scratch}/site/nginx.conf"]
        ran = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    words = [line for line in ran.stderr.splitlines() if "[" in line]
    if ran.returncode or words:
        raise NginxError("nginx does not accept what these files make", lines=words or ran.stderr.splitlines())
    return len(files)


def _paths(place: Place) -> HostPaths:
    if len(place.inventory.hosts) == 1 and all(h.connection == "local" for h in place.inventory.hosts.values()):
        return place.target.paths
    return HostPaths(root=SHOWN_ROOT, run=f"/run/kirsch/{place.stack.name}")
