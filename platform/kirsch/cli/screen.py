"""How things look: colours and a moving line on a terminal, plain lines elsewhere. Nothing is decided here."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status as Spinner
from rich.text import Text

from kirsch.errors import DeployError, KirschError, SpecError
from kirsch.release.plan import Plan, Step
from kirsch.release.status import describe_error

PLAIN_WIDTH = 200
NAME_WIDTH = 15


def open_console(*, stderr: bool = False) -> Console:
    """Return a console for one of the standard streams; lines are not folded where there is no terminal."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return (
        console if console.is_terminal else Console(stderr=stderr, highlight=False, soft_wrap=True, width=PLAIN_WIDTH)
    )


class Screen:
    """Shows a deploy as it goes: one line a step when it is done, a moving one while it is at work."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or open_console()
        self.spinner: Spinner | None = None

    def planned(self, plan: Plan) -> None:
        """Print the plan."""
        was = f"[dim], now {plan.previous}[/]" if plan.previous else "[dim], nothing runs there yet[/]"
        self.console.print(
            f"[bold]{plan.stack.name}[/] → {plan.host} [dim]({plan.root})[/]  release [bold]{plan.release}[/]{was}"
        )
        for step in plan.steps:
            self.console.print(f"  [dim]·[/] {step.name:<{NAME_WIDTH}} [dim]{escape(str(step))}[/]")
        self.console.print()
        self.show_notes(plan.notes)

    def show_notes(self, notes: Sequence[str]) -> None:
        """Print what has to be told."""
        for note in notes:
            self.console.print(f"  [yellow]![/] {escape(note)}")
        if notes:
            self.console.print()

    def began(self, step: Step) -> None:
        """Move, where there is a terminal."""
        if self.console.is_terminal:
            self.spinner = self.console.status(f"{step.name} …")
            self.spinner.start()

    def said(self, line: str) -> None:
        """Print a line of the step that is at work."""
        self.console.print(Text(f"      {line}", style="dim"))

    def ended(self, step: Step, detail: str, took_s: float) -> None:
        """Print that the step is done and how long it took."""
        self._still()
        self.console.print(f"  [green]✓[/] {step.name:<{NAME_WIDTH}} {took_s:6.2f} s  [dim]{escape(detail)}[/]")

    def failed(self, step: Step, took_s: float) -> None:
        """Print that the step failed."""
        self._still()
        self.console.print(f"  [red]✗ {step.name:<{NAME_WIDTH}}[/] {took_s:6.2f} s  [red]failed[/]")

    def reverted(self, text: str) -> None:
        """Print what was done to go back."""
        self.console.print(f"  [yellow]↩[/] {escape(text)}")

    def _still(self) -> None:
        if self.spinner is not None:
            self.spinner.stop()
            self.spinner = None


def show_error(error: KirschError, console: Console | None = None) -> None:
    """Print an error on standard error: what is wrong, and all that is known of why."""
    console = console or open_console(stderr=True)
    if isinstance(error, SpecError):
        for problem in error.problems:
            console.print(f"[red]✗[/] {escape(str(problem))}")
        return
    report = describe_error(error)
    traceback = str(report.get("traceback") or "").rstrip()
    output = (error.output if isinstance(error, DeployError) else str(report.get("output") or "")).rstrip()
    if traceback and traceback in output:
        traceback = output
    elif output and output not in traceback:
        _show_block(console, "last lines", output)
    if traceback:
        _show_block(console, f"traceback of {report.get('worker') or 'the worker'}", traceback)
    where = f" ({error.host}, {error.step})" if isinstance(error, DeployError) and error.host and error.step else ""
    console.print(f"[bold red]✗ {escape(str(error))}[/]{where}")
    facts = _facts(report)
    if facts:
        console.print(f"  [dim]{escape(facts)}[/]")


def show_table(console: Console, title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under heads (all empty: none), in columns as wide as their widest cell, nothing behind the last."""
    lines = [[Text(head, style="dim") for head in heads]] if any(heads) else []
    lines += [[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))] if lines else []
    console.print(f"[bold]{escape(title)}[/]")
    for line in lines:
        text = Text("  ")
        for cell, width in zip(line[:-1], widths, strict=False):
            text.append_text(cell).append(" " * (width - len(cell) + 2))
        console.print(text.append_text(line[-1]))
    console.print()


def is_terminal() -> bool:
    """Does a person see and answer what is printed?"""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _show_block(console: Console, title: str, text: str) -> None:
    console.print(f"[dim]── {escape(title)} ──[/]")
    console.print(Text(text))
    console.print()


def _facts(report: Mapping[str, Any]) -> str:
    """Say the plain facts of a report in one line: "worker web.1, step import shop.web, exit status 1, 0.41 s"."""
    words = {
        "worker": "worker {}",
        "step": "step {}",
        "exit_status": "exit status {}",
        "signal": "signal {}",
        "duration_s": "after {:.2f} s",
        "log": "log {}",
    }
    said = [text.format(report[name]) for name, text in words.items() if report.get(name) not in (None, "")]
    return ", ".join(said)
