"""The table of `kirsch check --probe`: what was sent, what passed, what was believed, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from kirsch.check.forgeries import Outcome
from kirsch.check.probe import Probing, probe_stack
from kirsch.cli.place import Place
from kirsch.cli.screen import show_table
from kirsch.errors import ControlError
from kirsch.link.state import load_state
from kirsch.spec import Stack

HEADS = ("verdict", "forgery", "sent", "passed", "believed")
SENT_WIDTH = 44
STYLES = {"refused": "green", "cleared": "green", "passed on": "yellow", "BELIEVED": "bold red", "unclear": "bold red"}


def probe_place(place: Place) -> list[Probing]:
    """Send forgeries to the stack that runs there; its own file says at which addresses.

    Raises:
        ControlError: it does not run here, or is somebody else's.
    """
    stack = load_running(place)
    try:
        return probe_stack(stack, place.target.paths)
    except OSError as error:
        raise ControlError(f"the stack cannot be probed: {error}", kind="unreachable") from error


def load_running(place: Place) -> Stack:
    """Return the stack as it runs there, with the addresses that it got.

    Raises:
        ControlError: it does not run.
    """
    try:
        return load_state(place.target.paths.state_file).stack
    except (OSError, msgspec.MsgspecError) as error:
        raise ControlError(
            f'the stack "{place.stack.name}" does not run: kirsch deploy {place.options}'.rstrip(), kind="unreachable"
        ) from error


def show_probings(console: Console, probings: Iterable[Probing]) -> None:
    """Print a table for each door."""
    for probing in probings:
        door = probing.door
        where = f"{door.url}  app {door.app}, vhost {door.vhost} at {door.listen}"
        if probing.truth is None:
            console.print(Text.assemble(("  ! ", "yellow"), f"{where}: {probing.why_not}; nothing was asked\n"))
            continue
        show_table(console, where, HEADS, [_row(outcome) for outcome in probing.outcomes])
        truth = f"the truth: base {probing.truth.base}, remote {probing.truth.remote}, scheme {probing.truth.scheme}"
        bad = sum(not outcome.is_good for outcome in probing.outcomes)
        mark = ("  ✗ ", "red") if bad else ("  ✓ ", "green")
        count = f"{len(probing.outcomes)} forgeries, {bad or 'none'} believed; {truth}\n"
        console.print(Text.assemble(mark, count))


def probings_as_data(probings: Iterable[Probing]) -> list[dict[str, Any]]:
    """Return the same for programs."""
    return [
        {
            "vhost": probing.door.vhost,
            "app": probing.door.app,
            "url": probing.door.url,
            "listen": str(probing.door.listen),
            "truth": None if probing.truth is None else msgspec.to_builtins(probing.truth),
            "why_not": probing.why_not,
            "forgeries": [
                {
                    "name": outcome.forgery.name,
                    "sent": outcome.forgery.sent,
                    "passed": list(outcome.passed),
                    "believed": list(outcome.believed),
                    "verdict": outcome.verdict,
                    "good": outcome.is_good,
                }
                for outcome in probing.outcomes
            ],
        }
        for probing in probings
    ]


def _row(outcome: Outcome) -> list[Any]:
    style = STYLES[outcome.verdict] if outcome.is_good else "bold red"
    sent = outcome.forgery.sent
    return [
        Text(outcome.verdict, style=style),
        outcome.forgery.name,
        Text(sent if len(sent) <= SENT_WIDTH else f"{sent[: SENT_WIDTH - 1]}…", style="dim"),
        ", ".join(outcome.passed) or Text("-", style="dim"),
        Text(", ".join(outcome.believed), style="red") if outcome.believed else Text("-", style="dim"),
    ]
