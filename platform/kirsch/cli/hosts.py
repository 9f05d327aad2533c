"""How a deploy over several hosts looks: lines with the host's name in front, or a JSON object a line for programs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.status import Status as Spinner
from rich.text import Text

from kirsch.cli.screen import NAME_WIDTH, open_console, show_table
from kirsch.release.hosts.cluster import ClusterPlan

QUIET_STEPS = frozenset({"copy", "switch"})
"""Steps that are done before somebody could read that they have begun; their failures are told."""


class HostsScreen:
    """Shows how several hosts go on."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or open_console()
        self.mutex = threading.Lock()
        self.width = 4
        self.spinner: Spinner | None = None

    def planned(self, plan: ClusterPlan) -> None:
        """Print the plan: what goes where, in which order."""
        self.width = max(len(host.name) for host in plan.hosts)
        self.console.print(f"[bold]{plan.stack}[/] → {len(plan.hosts)} hosts  {plan.verb} [bold]{plan.release}[/]")
        rows = [
            (
                host.name,
                host.address,
                host.current or "nothing yet",
                "runs" if host.runs else "starts",
                ", ".join(part.partition("-")[0] for part in host.lacks) or "nothing",
            )
            for host in plan.hosts
        ]
        show_table(self.console, "hosts", ("host", "address", "release now", "supervisor", "is brought"), rows)
        if plan.command is not None:
            self.console.print(f"  [dim]·[/] `{escape(plan.command)}` once, on {plan.hosts[0].name}")
        for number, batch in enumerate(plan.batches, 1):
            bake = f", then watched for {plan.bake_s:g} s" if plan.bake_s else ""
            self.console.print(f"  [dim]·[/] batch {number}: {', '.join(batch)}{bake}")
        self.console.print()

    def phase(self, text: str) -> None:
        """Print what all do now."""
        with self.mutex:
            if self.console.is_terminal:
                if self.spinner is None:
                    self.spinner = self.console.status(text)
                    self.spinner.start()
                self.spinner.update(f"{escape(text)} …")
            else:
                self.console.print(f"[dim]{escape(text)}[/]")

    def heard(self, host: str, event: Mapping[str, Any]) -> None:
        """Print what a host says."""
        kind, text = event["kind"], str(event.get("text", ""))
        name = f"{host:<{self.width}}"
        step = f"{event.get('step', ''):<{NAME_WIDTH}}"
        with self.mutex:
            if kind == "ended" and event["step"] not in QUIET_STEPS:
                self.console.print(f"  [green]✓[/] {name}  {step} {event['took_s']:6.2f} s  [dim]{escape(text)}[/]")
            elif kind == "failed":
                self.console.print(f"  [red]✗[/] {name}  [red]{step}[/] {event['took_s']:6.2f} s  [red]failed[/]")
            elif kind == "reverted":
                self.console.print(f"  [yellow]↩[/] {name}  {escape(text)}")
            elif kind == "said":
                self.console.print(Text(f"    {name}  {text}", style="dim"))

    def close(self) -> None:
        """Nothing moves any more."""
        if self.spinner is not None:
            self.spinner.stop()
            self.spinner = None


class HostsJson:
    """The same, a JSON object a line; nothing at all where another verb answers itself."""

    def __init__(self, *, is_silent: bool = False) -> None:
        self.is_silent = is_silent
        self.mutex = threading.Lock()

    def planned(self, plan: ClusterPlan) -> None:
        """Write the plan."""
        self._write({"kind": "plan", **asdict(plan)})

    def phase(self, text: str) -> None:
        """Write what all do now."""
        self._write({"kind": "phase", "text": text})

    def heard(self, host: str, event: Mapping[str, Any]) -> None:
        """Write what a host says."""
        self._write({"host": host, **event})

    def close(self) -> None:
        """Nothing to end."""

    def _write(self, message: Mapping[str, Any]) -> None:
        if self.is_silent:
            return
        with self.mutex:
            click.echo(msgspec.json.encode(message).decode())
