"""`kirsch top`: every worker as it works, in a table that renews itself."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from kirsch.cli.fleet import reach
from kirsch.cli.place import Place, with_place
from kirsch.cli.screen import open_console
from kirsch.cli.top_screen import Frame, Rates, Sorting, render
from kirsch.errors import ControlError
from kirsch.supervise.client import ControlClient

ENDS = frozenset({"q", "Q", "\x1b"})


@click.command(short_help="Watch the workers at work.")
@click.option("--interval-s", default=1.0, show_default=True, type=click.FloatRange(0.2, 60), help="Between two looks.")
@click.option("--once", is_flag=True, help="Print one table after one interval; so it is where there is no terminal.")
@click.option(
    "--sort",
    type=click.Choice(list(Sorting.ORDERS)),
    default=next(iter(Sorting.ORDERS)),
    show_default=True,
    help="What the workers are in the order of.",
)
@with_place
def top(place: Place, interval_s: float, once: bool, sort: str) -> None:
    """Watch the workers: what each is inside of, how many requests a second, how slow, how large.

    Keys: s sorts by the next column, r turns the order round, q ends it.
    """
    control = reach(place)
    rates, sorting = Rates(), Sorting(sort)
    rates.look(control.call("status"), time.monotonic())
    console = open_console()
    if once or not (sys.stdin.isatty() and console.is_terminal):
        time.sleep(interval_s)
        frame = Frame(console.width, None, is_ascii=console.options.ascii_only)
        console.print(render(rates.look(control.call("status"), time.monotonic()), frame, sorting))
        return
    with keys() as wait_for_key, Live(console=console, screen=True, auto_refresh=False) as live:
        status = None
        pressed = wait_for_key(0.0)
        while not ENDS.intersection(pressed):
            for key in pressed:
                sorting.press(key)
            if not pressed or status is None:  # a key shows what is there in another order, and looks at nothing
                status = _look(control, rates)
            frame = Frame(console.width, console.height, is_ascii=console.options.ascii_only)
            shown: Group | Text = status if isinstance(status, Text) else render(status, frame, sorting)
            live.update(shown, refresh=True)
            pressed = wait_for_key(interval_s)


def _look(control: ControlClient, rates: Rates) -> dict[str, object] | Text:
    """Look again; a supervisor that is away for a moment (an upgrade) is no reason to end."""
    try:
        return rates.look(control.call("status"), time.monotonic())
    except ControlError as error:
        return Text(str(error), style="yellow")


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """Yield what waits for keys, so many seconds at most, without Return and without showing them."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)

    def wait(timeout_s: float) -> str:
        readable, _, _ = select.select([number], [], [], timeout_s)
        # the descriptor itself: a buffer could hold a second key back, which nobody would wait for
        pressed = os.read(number, 32).decode("utf-8", "replace") if readable else ""
        # an arrow begins with Escape, and is none
        return "" if pressed.startswith("\x1b") and len(pressed) > 1 else pressed

    tty.setcbreak(number)
    try:
        yield wait
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
