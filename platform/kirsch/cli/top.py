"""`kirsch top`: every worker as it works, in a table that renews itself."""

from __future__ import annotations

import contextlib
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kirsch.cli.fleet import reach
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import is_terminal, open_console
from kirsch.cli.status import STATE_STYLES, describe_age
from kirsch.errors import ControlError
from kirsch.scoreboard import BOUNDS_S
from kirsch.supervise.client import ControlClient

Worker = dict[str, Any]

COLUMNS = ("worker", "pid", "state", "release", "for", "req/s", "p99", "in flight", "memory", "slots", "inside of")
#: A queue that is shorter is nginx's own clock, which is some milliseconds coarse.
QUEUE_SHOWN_S = 0.005
RIGHT = {"pid", "req/s", "p99", "in flight", "memory"}


@click.command(short_help="Watch the workers at work.")
@click.option("--interval-s", default=1.0, show_default=True, type=click.FloatRange(0.2, 60), help="Between two looks.")
@click.option("--once", is_flag=True, help="Print one table after one interval; so it is where there is no terminal.")
@with_place
def top(place: Place, interval_s: float, once: bool) -> None:
    """Watch the workers: what each is inside of, how many requests a second, how slow, how large. q ends it."""
    control = reach(place)
    rates = Rates()
    rates.look(control.call("status"), time.monotonic())
    console = open_console()
    if once or not is_terminal():
        time.sleep(interval_s)
        console.print(render(rates.look(control.call("status"), time.monotonic())))
        return
    with keys() as wait_for_key, Live(console=console, screen=True, auto_refresh=False) as live:
        while wait_for_key(interval_s) not in {"q", "Q", "\x1b"}:
            live.update(_look(control, rates), refresh=True)


class Rates:
    """From what was counted to what happens in a second: keeps the look before."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int | None], tuple[float, int, Sequence[int]]] = {}

    def look(self, status: dict[str, Any], now: float) -> dict[str, Any]:
        """Return *status* with ``rate`` (requests a second, None at the first look) and ``p99`` for each worker."""
        seen = {}
        pools = []
        for pool in status["pools"]:
            workers = []
            for worker in pool["workers"]:
                key = (worker["name"], worker["pid"])
                durations = worker.get("durations") or []
                at, count, before = self._before.get(key, (now, worker["requests"], durations))
                fresh = [new - old for new, old in zip(durations, before, strict=False)]
                took_s = now - at
                rate = (worker["requests"] - count) / took_s if took_s > 0 else None
                workers.append({**worker, "rate": rate, "p99": percentile(fresh, 0.99)})
                seen[key] = (now, worker["requests"], durations)
            pools.append({**pool, "workers": workers})
        self._before = seen
        return {**status, "pools": pools}


def percentile(counts: Sequence[int], share: float) -> str:
    """Say under which bound *share* of the answers lie: ``5 ms``; "-" if there were none.

    *counts* are by bucket of the scoreboard's bounds.
    """
    total = sum(counts)
    if total <= 0:
        return "-"
    reached = 0
    for bound, count in zip(BOUNDS_S, counts, strict=False):
        reached += count
        if reached >= share * total:
            return f"{bound:g} s" if bound >= 1 else f"{bound * 1000:g} ms"
    return f"> {BOUNDS_S[-1]:g} s"


def render(status: dict[str, Any]) -> Group:
    """Return the whole picture of a status that :class:`Rates` has looked at."""
    parts: list[Any] = [_headline(status)]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in COLUMNS:
        justify: Any = "right" if column in RIGHT else "left"
        table.add_column(column, justify=justify, no_wrap=True, overflow="ellipsis")
    for pool in status["pools"]:
        for worker in pool["workers"]:
            table.add_row(*_row(worker))
    parts.append(table)
    parts += [Text(f"! {reason}", style="yellow", overflow="ellipsis", no_wrap=True) for reason in status["degraded"]]
    return Group(*parts)


def _headline(status: dict[str, Any]) -> Text:
    text = Text.assemble((status["stack"], "bold"), f"  release {status['release'] or '-'}")
    if status.get("rolling"):
        text.append("  rolling", style="yellow")
    for pool in status["pools"]:
        rate = sum(worker["rate"] or 0.0 for worker in pool["workers"])
        load = "" if pool.get("load") is None else f", load {100 * pool['load']:.0f} %"
        wait_s = pool.get("queue_s") or 0.0
        wait = f", {wait_s * 1000:.0f} ms in queues" if wait_s >= QUEUE_SHOWN_S else ""
        held = f", {pool['held']} wait" if pool.get("held") else ""
        paused = ", paused" if pool.get("paused") else ""
        ready = sum(worker["state"] == "ready" for worker in pool["workers"])
        text.append(f"\n{pool['name']}: {ready} of {pool['wanted']} ready, {rate:.0f} req/s{load}{wait}{held}{paused}")
    text.append("\n")
    return text


def _row(worker: Worker) -> tuple[Text | str, ...]:
    return (
        worker["name"],
        str(worker["pid"] or "-"),
        Text("ill" if worker.get("is_ill") else worker["state"], style=STATE_STYLES.get(worker["state"], "")),
        worker["release"] or "-",
        describe_age(time.time() - worker["since"]) if worker["since"] else "-",
        "-" if worker["rate"] is None else f"{worker['rate']:.0f}",
        worker["p99"],
        str(worker["in_flight"]),
        f"{worker['rss_bytes'] / 2**20:.0f} MiB" if worker["rss_bytes"] else "-",
        " ".join(map(str, worker["slots"])) or "-",
        Text(describe_inside(worker["running"]), overflow="ellipsis"),
    )


def describe_inside(running: Sequence[dict[str, Any]]) -> str:
    """Say what a worker is inside of, the longest first: ``shop.web.Shop.report 41.2 s, + 3``."""
    if not running:
        return "-"
    first, *rest = sorted(running, key=lambda one: -float(one["for_s"]))
    return f"{first.get('handler') or first['line']} {first['for_s']:.1f} s" + (f", + {len(rest)}" if rest else "")


def _look(control: ControlClient, rates: Rates) -> Group | Text:
    """Return the picture of now; a supervisor that is away for a moment (an upgrade) is no reason to end."""
    try:
        return render(rates.look(control.call("status"), time.monotonic()))
    except ControlError as error:
        return Text(str(error), style="yellow")


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """Yield what waits for a key, so many seconds at most, without Return and without showing it."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    first = True

    def wait(timeout_s: float) -> str:
        nonlocal first
        wait_s, first = (0.0 if first else timeout_s), False
        readable, _, _ = select.select([sys.stdin], [], [], wait_s)
        return sys.stdin.read(1) if readable else ""

    tty.setcbreak(number)
    try:
        yield wait
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
