"""What `kirsch top` shows: two looks at a stack made into rates, and a picture that fits the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from kirsch.cli.status import STATE_STYLES, describe_age
from kirsch.observe.history import quantile
from kirsch.observe.words import mebibytes, milliseconds, percent
from kirsch.observe.words import rate as show_rate

Worker = dict[str, Any]
Status = dict[str, Any]

#: A queue that is shorter is nginx's own clock, which is some milliseconds coarse.
QUEUE_SHOWN_S = 0.005
BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-~=+*#"
#: From this many columns on a terminal has room for more about a worker; from WIDEST on for all.
WIDE, WIDEST = 110, 150
RIGHT = frozenset({"pid", "req/s", "p99", "in flight", "memory"})
NARROW_COLUMNS = ("worker", "state", "req/s", "p99", "in flight", "memory", "inside of")
WIDE_COLUMNS = ("worker", "pid", "state", "release", "for", "req/s", "p99", "in flight", "memory", "slots", "inside of")


@dataclass(frozen=True, slots=True)
class Frame:
    """The room that there is; *height* is None where lines may go on for ever."""

    width: int = 120
    height: int | None = None
    is_ascii: bool = False


class Sorting:
    """The order of the workers; keys change it."""

    ORDERS: Mapping[str, Callable[[Worker], Any]] = {
        "name": lambda worker: 0,  # as the supervisor says them
        "requests": lambda worker: -(worker["rate"] or 0.0),
        "p99": lambda worker: -(worker["p99_s"] or 0.0),
        "inside": lambda worker: -max((one["for_s"] for one in worker["running"]), default=-1.0),
        "memory": lambda worker: -worker["rss_bytes"],
    }

    def __init__(self, name: str = "name") -> None:
        self.name = name
        self.is_reversed = False

    def press(self, key: str) -> None:
        """``s`` is the next order, ``r`` turns it round; other keys do nothing."""
        names = list(self.ORDERS)
        if key in {"s", "S"}:
            self.name = names[(names.index(self.name) + 1) % len(names)]
        elif key in {"r", "R"}:
            self.is_reversed = not self.is_reversed

    def sort(self, workers: Sequence[Worker]) -> list[Worker]:
        """Return the workers in that order."""
        found = sorted(workers, key=self.ORDERS[self.name])
        return found[::-1] if self.is_reversed else found


class Rates:
    """From what was counted to what happens in a second: keeps the look before."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int | None], tuple[float, int, Sequence[int]]] = {}

    def look(self, status: Status, now: float) -> Status:
        """Return *status* with ``rate`` (requests a second), ``p99_s`` and ``fresh`` for each worker.

        They are of the time since the look before; None at the first, and where nobody was answered.
        """
        seen = {}
        pools = []
        for pool in status["pools"]:
            workers = []
            for worker in pool["workers"]:
                key = (worker["name"], worker["pid"])
                durations = worker.get("durations") or []
                at, count, before = self._before.get(key, (now, worker["requests"], durations))
                fresh = [max(0, new - old) for new, old in zip(durations, before, strict=False)]
                took_s = now - at
                rate = max(0, worker["requests"] - count) / took_s if took_s > 0 else None
                workers.append({**worker, "rate": rate, "p99_s": quantile(fresh, 0.99), "fresh": fresh})
                seen[key] = (now, worker["requests"], durations)
            pools.append({**pool, "workers": workers})
        self._before = seen
        return {**status, "pools": pools}


def render(status: Status, frame: Frame | None = None, sorting: Sorting | None = None) -> Group:
    """Return the whole picture of a status that :class:`Rates` has looked at."""
    frame, sorting = frame or Frame(), sorting or Sorting()
    parts: list[Any] = [_title(status, frame), _totals(status, frame), Text("")]
    faults = [Text(f"! {reason}", style="yellow", overflow="ellipsis", no_wrap=True) for reason in status["degraded"]]
    left = None if frame.height is None else frame.height - 6 - min(3, len(faults))
    for pool in status["pools"]:
        parts.append(_pool(pool))
        workers = sorting.sort(pool["workers"])
        room = len(workers) if left is None else max(1, left - 2)
        parts.append(_table(workers[:room], frame))
        if len(workers) > room:
            parts.append(Text(f"… and {len(workers) - room} more", style="dim"))
        parts.append(Text(""))
        left = None if left is None else left - min(len(workers), room) - 4
    parts += faults[:3] if frame.height is not None else faults
    if frame.height is not None:
        order = f"{sorting.name}{', reversed' if sorting.is_reversed else ''}"
        parts.append(Text(f"s sort ({order})  r reverse  q quit", style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _title(status: Status, frame: Frame) -> Text:
    text = Text.assemble((status["stack"], "bold"), no_wrap=True, overflow="ellipsis")
    text.append(f"  release {status['release'] or '-'}")
    if status.get("started") and frame.width >= 60:
        text.append(f"  up {describe_age(time.time() - float(status['started']))}", style="dim")
    if status.get("rolling"):
        text.append("  rolling", style="yellow")
    elif status["degraded"]:
        text.append(f"  {len(status['degraded'])} not well", style="bold yellow")
    else:
        text.append("  serves", style="green")
    return text


def _totals(status: Status, frame: Frame) -> Text:
    """Say what all pools do together, with the last minutes as sparklines."""
    workers = [worker for pool in status["pools"] for worker in pool["workers"]]
    fresh = [sum(counts) for counts in zip(*[worker["fresh"] for worker in workers if worker["fresh"]], strict=False)]
    recent = status.get("recent") or []
    room = max(8, min(len(recent) or 8, (frame.width - 44) // 2))
    requests, errors = [one[0] for one in recent], [one[1] for one in recent]
    rate = sum(worker["rate"] or 0.0 for worker in workers)
    p99 = quantile(fresh, 0.99)
    failing = sum(errors[-2:])
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("req/s ", style="dim").append(sparkline(requests, room, frame.is_ascii), style="cyan")
    text.append(f" {show_rate(rate)}", style="bold")
    text.append("  5xx ", style="dim").append(sparkline(errors, room, frame.is_ascii), style="red")
    share = percent(failing, sum(requests[-2:]))
    text.append(f" {share}", style="bold red" if failing else "")
    text.append("  p99 ", style="dim").append("-" if p99 is None else milliseconds(p99 * 1000))
    return text


def sparkline(values: Sequence[float], room: int, is_ascii: bool = False) -> str:
    """Draw the last *room* values, the highest as a full block: ``▁▁▃█▅``; none as blanks."""
    blocks = ASCII_BLOCKS if is_ascii else BLOCKS
    shown = values[-room:]
    highest = max(shown, default=0.0)
    drawn = [blocks[min(7, int(value / highest * 7.999))] if highest > 0 else blocks[0] for value in shown]
    return "".join(drawn).rjust(room)


def _pool(pool: Mapping[str, Any]) -> Text:
    rate = sum(worker["rate"] or 0.0 for worker in pool["workers"])
    ready = sum(worker["state"] == "ready" for worker in pool["workers"])
    parts = [f"{ready} of {pool['wanted']} ready", f"{show_rate(rate)} req/s"]
    wait_s = pool.get("queue_s") or 0.0
    parts += [] if pool.get("load") is None else [f"load {100 * pool['load']:.0f} %"]
    parts += [f"{wait_s * 1000:.0f} ms in queues"] if wait_s >= QUEUE_SHOWN_S else []
    parts += [f"{pool['held']} wait"] if pool.get("held") else []
    parts += ["paused"] if pool.get("paused") else []
    return Text.assemble((f"{pool['name']}: ", "bold"), ", ".join(parts), no_wrap=True, overflow="ellipsis")


def _table(workers: Sequence[Worker], frame: Frame) -> Table:
    room = NARROW_COLUMNS if frame.width < WIDE else WIDE_COLUMNS
    columns = [column for column in room if column != "release" or frame.width >= WIDEST]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), expand=frame.width < 200)
    for column in columns:
        last = column == columns[-1]
        table.add_column(
            column,
            justify="right" if column in RIGHT else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if last else None,
            min_width=12 if last else None,
        )
    for worker in workers:
        cells = _cells(worker)
        table.add_row(*[cells[column] for column in columns])
    return table


def _cells(worker: Worker) -> dict[str, Text | str]:
    is_idle = not worker["running"]
    return {
        "worker": worker["name"],
        "pid": str(worker["pid"] or "-"),
        "state": Text("ill" if worker.get("is_ill") else worker["state"], style=_style(worker)),
        "release": worker["release"] or "-",
        "for": describe_age(time.time() - worker["since"]) if worker["since"] else "-",
        "req/s": "-" if worker["rate"] is None else show_rate(worker["rate"]),
        "p99": "-" if worker["p99_s"] is None else milliseconds(worker["p99_s"] * 1000),
        "in flight": str(worker["in_flight"]),
        "memory": mebibytes(worker["rss_bytes"]) if worker["rss_bytes"] else "-",
        "slots": " ".join(map(str, worker["slots"])) or "-",
        "inside of": Text(describe_inside(worker["running"]), overflow="ellipsis", style="dim" if is_idle else ""),
    }


def _style(worker: Worker) -> str:
    return "bold red" if worker.get("is_ill") else STATE_STYLES.get(worker["state"], "")


def describe_inside(running: Sequence[Mapping[str, Any]]) -> str:
    """Say what a worker is inside of, the longest first: ``41.2 s shop.web.Shop.report, + 3``."""
    if not running:
        return "-"
    first, *rest = sorted(running, key=lambda one: -float(one["for_s"]))
    return f"{first['for_s']:.1f} s {first.get('handler') or first['line']}" + (f", + {len(rest)}" if rest else "")
