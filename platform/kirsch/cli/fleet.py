"""The verbs that speak to a running stack: `workers`, `roll`, `scale`, `drain`, `undrain`, `pause`, `resume`, `kill`,
`upgrade`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
import msgspec
from rich.text import Text

from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import open_console, show_table
from kirsch.cli.status import STATE_STYLES, describe_age
from kirsch.errors import ControlError
from kirsch.release.fleet import describe_event
from kirsch.scoreboard import describe_request
from kirsch.supervise.client import ControlClient

LOOK_EVERY_S = 0.2
SCALE_RULE = "POOL=NUMBER or POOL=auto"


def reach(place: Place) -> ControlClient:
    """Return the way to the supervisor of a stack.

    Raises:
        ControlError: there is none; with what to type.
    """
    control = ControlClient(place.target.paths.control_socket)
    if not control.is_reachable():
        raise ControlError(
            f'the stack "{place.stack.name}" does not run: kirsch deploy {place.options}'.rstrip(), kind="unreachable"
        )
    return control


def ask_on(control: ControlClient, host: str | None) -> Callable[..., Any]:
    """Return what asks the supervisor of *host*, over the bus; None is the one that is asked anyway."""
    if host is None:
        return control.call
    return lambda verb, **args: control.call("afar", host=host, act=verb, args=args)


def follow(control: ControlClient, verb: str, **args: Any) -> Any:
    """Ask, print what happens as it happens, and return the result."""
    result = None
    for message in control.stream(verb, **args):
        if "event" in message:
            click.echo(f"  {describe_event(message['event'])}")
        result = message.get("result", result)
    return result


@click.command(short_help="Show every worker, and what it is inside of.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Everything that is known of them, for programs.")
@with_place
def workers(place: Place, names: tuple[str, ...], as_json: bool) -> None:
    """Show every worker and what it is inside of right now; of those that failed, why.

    A NAME is a pool ("web") or a worker ("web.1").
    """
    status = reach(place).call("status")
    found = [worker for pool in status["pools"] for worker in pool["workers"] if _is_meant(worker["name"], names)]
    if names and not found:
        raise ControlError(f"there is no worker {' or '.join(names)}", kind="unknown_worker")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    console = open_console()
    heads = ("worker", "pid", "state", "release", "for", "in flight", "memory", "restarts", "slots", "inside of")
    show_table(console, f"{status['stack']}  release {status['release']}", heads, [_row(worker) for worker in found])
    for worker in found:
        for line in _explain(worker.get("report") or {}):
            console.print(Text(f"  {worker['name']}: {line}", style="dim"))


@click.command(short_help="Replace every worker without losing a request.")
@click.option("--release", metavar="ID", help="The release to roll to; without it the current one, started anew.")
@click.option("--detach", is_flag=True, help="Do not wait: the roll goes on by itself, the status tells how it ended.")
@with_place
def roll(place: Place, release: str | None, detach: bool) -> None:
    """Replace every worker without losing a request, one ahead, the others in batches.

    If a new one does not come up, or does not last for the bake, the old ones get everything back. Ctrl-C calls the
    roll off, which takes it back, too; with --detach it goes on whatever happens here.
    """
    args: dict[str, Any] = {"release": release} if release else {}
    result = follow(reach(place), "roll", **args, **({"detach": True} if detach else {}))
    click.echo("under way" if detach else f"release {result['release']}, generation {result['generation']}")


@click.command(short_help="Set how many workers a pool has.")
@click.argument("wanted", nargs=-1, required=True, metavar="POOL=NUMBER...")
@with_place
def scale(place: Place, wanted: tuple[str, ...]) -> None:
    """Set how many workers a pool has, up to the `max` of its `workers`. nginx is not reloaded.

    \b
    kirsch scale web=4      four, whatever the load is
    kirsch scale web=auto   between min and max, by the load

    The numbers of kirsch.toml hold again with the next deploy that changes them.
    """  # noqa: D301 (click wants the character itself)
    pools = dict(_read_wanted(text) for text in wanted)
    result = follow(reach(place), "scale", pools=pools)
    click.echo(", ".join(f"{pool}: {count} workers" for pool, count in result["pools"].items()))


@click.command(short_help="Take workers out of service, and wait for them.")
@click.argument("names", nargs=-1, required=True, metavar="WORKER...")
@click.option("--timeout-s", default=60.0, show_default=True, help="How long to wait for their requests.")
@click.option("--host", metavar="HOST", help="Workers of another host on the bus; else of this one.")
@with_place
def drain(place: Place, names: tuple[str, ...], timeout_s: float, host: str | None) -> None:
    """Give no new requests to workers ("web.2"), and wait until those that they have are done.

    They stay alive: look at them, then `kirsch undrain` or `kirsch kill`. Exit status 1 if they are not empty in time.
    """
    ask = ask_on(reach(place), host)
    ask("drain", workers=list(names))
    deadline = time.monotonic() + timeout_s
    said: dict[str, str] = {}
    while blocking := _blocking(ask("status", workers=list(names)), names):
        for name, text in blocking.items():
            if said.get(name) != text.partition(" for ")[0]:
                said[name] = text.partition(" for ")[0]
                click.echo(f"  {name}: waits for {text}")
        if time.monotonic() > deadline:
            reasons = "; ".join(f"{name}: {text}" for name, text in blocking.items())
            raise ControlError(f"not empty after {timeout_s:g} s: {reasons}", kind="busy")
        time.sleep(LOOK_EVERY_S)
    click.echo(f"{', '.join(names)}: empty, out of service")


@click.command(short_help="Give requests to drained workers again.")
@click.argument("names", nargs=-1, required=True, metavar="WORKER...")
@click.option("--host", metavar="HOST", help="Workers of another host on the bus; else of this one.")
@with_place
def undrain(place: Place, names: tuple[str, ...], host: str | None) -> None:
    """Give requests to drained workers again."""
    ask_on(reach(place), host)("undrain", workers=list(names))
    click.echo(f"{', '.join(names)}: in service")


@click.command(short_help="Let requests wait, for a moment.")
@click.argument("pools", nargs=-1, metavar="[POOL]...")
@click.option("--hold-s", type=float, help="How long a request waits before it gets 503; else as the pool says.")
@with_place
def pause(place: Place, pools: tuple[str, ...], hold_s: float | None) -> None:
    """Let requests wait, for a migration of a few seconds: nothing reaches the workers until `kirsch resume`."""
    args: dict[str, Any] = {"pools": list(pools)} if pools else {}
    result = reach(place).call("pause", **args, **({"hold_s": hold_s} if hold_s is not None else {}))
    click.echo(f"{', '.join(result['pools'])}: paused; requests wait")


@click.command(short_help="Let the requests of paused pools through.")
@click.argument("pools", nargs=-1, metavar="[POOL]...")
@with_place
def resume(place: Place, pools: tuple[str, ...]) -> None:
    """Let the requests of paused pools through."""
    result = reach(place).call("resume", **({"pools": list(pools)} if pools else {}))
    click.echo(f"{', '.join(result['pools'])}: in service")


@click.command(short_help="Send a signal to workers.")
@click.argument("names", nargs=-1, required=True, metavar="WORKER|PID...")
@click.option("--signal", default="KILL", show_default=True, help="KILL, TERM (drains), ABRT, STOP or CONT.")
@with_place
def kill(place: Place, names: tuple[str, ...], signal: str) -> None:
    """Send a signal to workers, by name or process id. Their siblings take over, and each is replaced.

    What they were inside of is told: with KILL those requests are lost.
    """
    result = reach(place).call("kill", workers=list(names), signal=signal)
    for worker in result["workers"]:
        inside = f"; it was inside of {', '.join(worker['inside'])}" if worker["inside"] else ""
        click.echo(f"{worker['name']} (process {worker['pid']}): {result['signal']}{inside}")


@click.command(short_help="Change the version of the supervisor.")
@click.option("--python", metavar="PATH", help="Interpreter of the version to change to; else the release's own.")
@with_place
def upgrade(place: Place, python: str | None) -> None:
    """Put another version of the supervisor in place of the running one. Workers and nginx go on.

    It is tried first whether that version can take over; the process id stays the same.
    """
    control = reach(place)
    before = control.call("status")
    follow_upgrade(control, python)
    after = wait_for_next(control, before["started"])
    adopted = sum(worker["state"] == "ready" for pool in after["pools"] for worker in pool["workers"])
    click.echo(f"supervisor {after['pid']}: kirsch {after.get('version')}, {adopted} workers adopted")


def follow_upgrade(control: ControlClient, python: str | None) -> None:
    """Ask for the upgrade; its answer may be cut by the very thing that it is about."""
    args = {"python": python} if python else {}
    try:
        control.call("upgrade", **args)
    except ControlError as error:
        if error.kind != "unreachable":
            raise


def wait_for_next(control: ControlClient, started: float, timeout_s: float = 30.0) -> dict[str, Any]:
    """Wait until a supervisor answers that began after *started*; return its status.

    Raises:
        ControlError: none did.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            status: dict[str, Any] = control.call("status")
            if status["started"] > started:
                return status
        except ControlError as error:
            if error.kind != "unreachable":
                raise
        if time.monotonic() > deadline:
            raise ControlError("the new supervisor does not answer: kirsch logs supervisor", kind="unreachable")
        time.sleep(LOOK_EVERY_S)


VERBS: tuple[click.Command, ...] = (workers, roll, scale, drain, undrain, pause, resume, kill, upgrade)


def _is_meant(worker: str, names: tuple[str, ...]) -> bool:
    return not names or worker in names or worker.rpartition(".")[0] in names


def _read_wanted(text: str) -> tuple[str, int | str]:
    pool, _, count = text.partition("=")
    if not pool or not (count == "auto" or count.isdecimal()):
        raise click.BadParameter(f"{text!r}: allowed: {SCALE_RULE}")
    return pool, count if count == "auto" else int(count)


def _blocking(status: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """Return what keeps workers from being empty: name to ``GET /report for 41 s``."""
    found = {}
    for pool in status["pools"]:
        for worker in pool["workers"]:
            if worker["name"] in names and worker["state"] == "drained" and worker["in_flight"]:
                lines = [
                    f"{describe_request(one['line'], one.get('handler') or '')} for {one['for_s']:.0f} s"
                    for one in worker["running"]
                ]
                found[worker["name"]] = ", ".join(lines) or f"{worker['in_flight']} answers that stream"
    return found


def _row(worker: dict[str, Any]) -> tuple[object, ...]:
    inside = ", ".join(
        f"{describe_request(one['line'], one.get('handler') or '')} ({one['for_s']:.1f} s)" for one in worker["running"]
    )
    return (
        worker["name"],
        worker["pid"] or "-",
        Text(worker["state"], style=STATE_STYLES.get(worker["state"], "")),
        worker["release"] or "-",
        describe_age(time.time() - worker["since"]) if worker["since"] else "-",
        worker["in_flight"],
        f"{worker['rss_bytes'] / 2**20:.0f} MiB" if worker["rss_bytes"] else "-",
        worker["restarts"],
        " ".join(map(str, worker["slots"])) or "-",
        inside or "-",
    )


def _explain(report: dict[str, Any]) -> list[str]:
    """Say why a worker failed: its message, where its boot was and for how long, what of the environment changed."""
    lines = [str(report["message"])] if report.get("message") else []
    if report.get("exit_status") is not None or report.get("signal"):
        lines.append(f"exit status {report['exit_status']}" if not report.get("signal") else f"{report['signal']}")
    if report.get("steps"):
        lines.append("boot: " + ", ".join(f"{one['step']} {one['duration_s']:.2f} s" for one in report["steps"]))
    lines += [f"environment {how}: {', '.join(names)}" for how, names in (report.get("environment") or {}).items()]
    lines += [f"lost: {line}" for line in report.get("requests") or ()]
    return lines
