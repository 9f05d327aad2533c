"""`kirsch status`: what runs, where, how well; and the table that a deploy ends with."""

from __future__ import annotations

import time

import click
import msgspec
from rich.console import Console
from rich.text import Text

from kirsch.cli.hosts_status import show_hosts_status
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import open_console, show_table
from kirsch.errors import ControlError
from kirsch.link.state import state_from_json
from kirsch.release.status import Status, Worker, ask_status
from kirsch.supervise.client import ControlClient

STATE_STYLES = {
    "ready": "green",
    "booting": "yellow",
    "warming": "yellow",
    "draining": "yellow",
    "failed": "bold red",
    "parked": "bold red",
    "stopped": "dim",
    "standby": "dim",
    "drained": "cyan",
    "quarantined": "bold yellow",
}


@click.command(short_help="Show workers, addresses and health.")
@click.option("--json", "as_json", is_flag=True, help="The whole answer of the supervisor, for programs.")
@with_place
def status(place: Place, as_json: bool) -> None:
    """Show the workers of the stack, its addresses and its health.

    Over several hosts: a line of each. Exit status 1 if it does not run or not everything is well.
    """
    if place.is_remote:
        show_hosts_status(place, as_json=as_json)
        return
    found = ask_status(ControlClient(place.target.paths.control_socket))
    if found is None:
        raise ControlError(
            f'the stack "{place.stack.name}" does not run: kirsch deploy {place.options}'.rstrip(), kind="unreachable"
        )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        show_status(open_console(), found, place)
    if found.degraded:
        raise click.exceptions.Exit(1)


def show_status(console: Console, found: Status, place: Place) -> None:
    """Print everything that an operator asks after first."""
    show_table(console, f"{found.stack}  release {found.release}", ("url", "names", "app"), _served(found, place))
    heads = ("worker", "pid", "state", "release", "for", "requests", "in flight", "memory", "restarts", "slots")
    show_table(console, "workers", heads, [_row(worker) for worker in found.workers])
    admin = (found.admin or "").rstrip("/")
    where = [("supervisor", f"pid {found.pid}"), ("logs", found.log_dir or "")]
    if found.nginx:
        where.insert(0, ("nginx", f"{found.nginx.version} {found.nginx.binary}, pid {found.nginx.pid}"))
    if admin:
        where += [("status page", f"{admin}/"), ("metrics", f"{admin}/metrics")]
    show_table(console, "where", ("", ""), where)
    for reason in found.degraded:
        console.print(Text(f"! {reason}", style="yellow"))


def show_next(console: Console, place: Place, *, make: bool) -> None:
    """Print what to type next."""
    if make:
        steps = [
            ("make deploy", "change something and roll to it"),
            ("make status", ""),
            ("make logs", ""),
            ("make down", "stop"),
        ]
    else:
        after = f" {place.options}" if place.options else ""
        steps = [
            (f"kirsch deploy{after}", "change something and roll to it, no request lost"),
            (f"kirsch status{after}", "workers, addresses, health"),
            (f"kirsch logs{after} --follow", "every log as it grows"),
            (f"kirsch down{after}", "stop everything"),
        ]
    show_table(console, "next", ("", ""), steps)


def _served(found: Status, place: Place) -> list[tuple[str, str, str]]:
    """Return address, names and app of everything that is served, from the state that the supervisor was given."""
    raw = place.target.shell.read(place.target.paths.state_file)
    try:
        stack = state_from_json(raw or b"").stack
    except msgspec.MsgspecError:  # written by another version: nginx knows the addresses at least
        return [(url, "", "") for url in (found.nginx.listen if found.nginx else [])]
    return [
        (f"{listen.url.rstrip('/')}{stack.apps[app].mount}", " ".join(vhost.names) or "every name", app)
        for vhost in stack.vhosts.values()
        for listen in vhost.listen
        for app in vhost.apps
    ]


def _row(worker: Worker) -> tuple[object, ...]:
    return (
        worker.name,
        worker.pid or "-",
        Text(worker.state, style=STATE_STYLES.get(worker.state, "")),
        worker.release or "-",
        describe_age(time.time() - worker.since) if worker.since else "-",
        "-" if worker.requests is None else worker.requests,
        "-" if worker.in_flight is None else worker.in_flight,
        f"{worker.rss_bytes / 2**20:.0f} MiB" if worker.rss_bytes else "-",
        worker.restarts,
        " ".join(map(str, worker.slots)) or "-",
    )


def describe_age(seconds: float) -> str:
    """Say a time span in its two largest units: "3 d 4 h", "12 s"."""
    whole = max(0, int(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), 3)
    return " ".join(
        f"{count} {unit}" for count, unit in parts[first : first + 2] if count or (unit == "s" and first == 3)
    )
