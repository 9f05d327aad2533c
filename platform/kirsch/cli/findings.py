"""How `kirsch check` shows what does not fit: a paragraph a finding, both sides, why and what to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from kirsch.check.finding import SEVERITIES, Finding
from kirsch.release.plan import count

MARKS = {"error": ("✗", "bold red"), "warning": ("!", "yellow"), "note": ("·", "dim")}


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Print them, and how many of each kind there are."""
    for finding in findings:
        mark, style = MARKS[finding.severity]
        console.print(Text.assemble((f"  {mark} ", style), (finding.title, "bold"), (f"  {finding.code}", "dim")))
        sides = [("stack", str(finding.front))] + ([("app", str(finding.app))] if finding.app else [])
        for name, text in (*sides, ("why", finding.why), ("cure", finding.cure)):
            console.print(Text.assemble((f"      {name:<6}", "dim"), (text, "green" if name == "cure" else "")))
        console.print()
    seen = Counter(finding.severity for finding in findings)
    if seen:
        said = ", ".join(count(seen[severity], severity) for severity in SEVERITIES if seen[severity])
        console.print(Text.assemble(("  ✗ ", "red") if seen["error"] else ("  ! ", "yellow"), said))
    else:
        console.print(Text.assemble(("  ✓ ", "green"), "nginx and applications fit together"))


def findings_as_data(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the same for programs."""
    return [asdict(finding) for finding in findings]
