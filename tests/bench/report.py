"""The results: a table with footnotes, a CSV file, a plot."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from contenders import Contender
from measure import Score
from rich.console import Console
from rich.table import Table
from scenarios import Scenario

#: By (title, scenario's name).
Scores = dict[tuple[str, str], Score]
Reasons = dict[tuple[str, str], str]


def print_table(players: Sequence[Contender], scenarios: Sequence[Scenario], scores: Scores, reasons: Reasons) -> None:
    """Medians with ratios to the first player; below, why something is missing."""
    shown = Table(title="one process on one core, medians of interleaved rounds")
    for heading in ("scenario", "server", "req/s", "ratio", "p50 ms", "p99 ms", "CPU µs", "MiB", "failed"):
        shown.add_column(heading, justify="left" if heading in ("scenario", "server") else "right")
    notes: list[str] = []
    for scenario in scenarios:
        base = scores.get((players[0].title, scenario.name)) if players else None
        for player in players:
            key = player.title, scenario.name
            if key in reasons:
                note = f"{player.title}: {reasons[key]}"
                if note not in notes:
                    notes.append(note)
                shown.add_row(scenario.name, player.title, "-", "", "", "", "", "", f"[{notes.index(note) + 1}]")
                continue
            rate, p50, p99, cpu, rss = scores[key].medians()
            ratio = f"{rate / base.medians()[0]:.1f} x" if base and base.rates else ""
            cells = [f"{rate:,.0f}", ratio, f"{p50:.2f}", f"{p99:.2f}", f"{cpu:.1f}", f"{rss:.0f}"]
            shown.add_row(scenario.name, player.title, *cells, str(scores[key].failed))
        shown.add_section()
    console = Console(width=120)
    console.print(shown)
    for number, note in enumerate(notes, 1):
        console.print(f"[{number}] {note}", markup=False)


def write_csv(file: Path, scenarios: Sequence[Scenario], scores: Scores, reasons: Reasons) -> None:
    """One line for each contender in each scenario; *reasons* in the last column."""
    with file.open("w", newline="") as output:
        lines = csv.writer(output, lineterminator="\n")
        columns = ["requests_per_s", "p50_ms", "p99_ms", "cpu_us", "rss_mib", "failed", "rounds", "note"]
        lines.writerow(["scenario", "server", *columns])
        for scenario in scenarios:
            for (title, name), score in scores.items():
                if name != scenario.name:
                    continue
                if reason := reasons.get((title, name)):
                    lines.writerow([name, title, *[""] * 7, reason])
                    continue
                rate, p50, p99, cpu, rss = score.medians()
                cells = [f"{rate:.0f}", f"{p50:.3f}", f"{p99:.3f}", f"{cpu:.1f}", f"{rss:.1f}"]
                lines.writerow([name, title, *cells, score.failed, len(score.rates), ""])


def write_tables(file: Path, players: Sequence[Contender], scenarios: Sequence[Scenario], scores: Scores) -> None:
    """Put requests/s and processor time of all contenders into a document that has places for them."""
    text = file.read_text()
    for place, number, digits in (("requests", 0, 0), ("processor", 3, 1)):
        lines = ["| | " + " | ".join(scenario.name for scenario in scenarios) + " |"]
        lines.append("| --- |" + " ---: |" * len(scenarios))
        for player in players:
            found = [scores[player.title, scenario.name] for scenario in scenarios]
            cells = [f"{score.medians()[number]:,.{digits}f}" if score.rss_mib else "-" for score in found]
            lines.append(f"| {player.title} | " + " | ".join(cells) + " |")
        mark = f"<!-- {place} -->\n"
        before, _, rest = text.partition(mark)
        _, found_end, after = rest.partition(mark)
        if found_end:
            text = before + mark + "\n".join(lines) + "\n" + mark + after
    file.write_text(text)


def draw(file: Path, players: Sequence[Contender], scenarios: Sequence[Scenario], scores: Scores) -> bool:
    """Bars of requests/s, a field for each scenario; False without matplotlib."""
    try:
        import matplotlib  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return False
    matplotlib.use("svg")
    from matplotlib import pyplot

    rows = (len(scenarios) + 1) // 2
    figure, axes = pyplot.subplots(rows, 2, figsize=(13, 3.4 * rows), squeeze=False)
    for field in axes.flat[len(scenarios) :]:
        field.set_visible(False)
    for field, scenario in zip(axes.flat, scenarios, strict=False):
        shown = [player for player in reversed(players) if scores[player.title, scenario.name].rates]
        rates = [scores[player.title, scenario.name].medians()[0] for player in shown]
        colours = [
            "#b3401f" if player.environment == "own" and "kirsch" in player.title else "#8a97a3" for player in shown
        ]
        bars = field.barh([player.title for player in shown], rates, color=colours)
        field.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=3, fontsize=7)
        field.set_title(f"{scenario.name}: requests/s", fontsize=10)
        field.tick_params(labelsize=7)
        field.margins(x=0.12)
        field.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    return True
