"""How long nginx's configuration takes to render by the number of vhosts: ``python tests/bench/vhosts.py``.

Writes the numbers to ``docs/bench/vhosts.csv`` and draws ``docs/bench/vhosts.svg`` (with matplotlib).
Time is the processor's, the better of two rounds.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path

from kirsch.nginx import render_site
from kirsch.spec import App, HostPaths, Pool, Stack, Vhost

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bench"
SIZES = (1000, 2500, 5000, 7500, 10000)
BUDGET_S = 5.0


def stack_of(size: int) -> Stack:
    """A stack of one app and *size* vhosts."""
    return Stack(
        name="many",
        apps={"a": App(name="a", entry="a:b")},
        pools={"web": Pool(name="web")},
        vhosts={f"v{n}": Vhost(name=f"v{n}", names=(f"host{n}.example",), apps=("a",)) for n in range(size)},
    )


def measure(size: int) -> float:
    """Seconds of the processor to render *size* vhosts."""
    stack, best_s = stack_of(size), float("inf")
    for _ in range(2):
        began = time.process_time()
        render_site(stack, HostPaths("/srv/many", "/run/many"), (1, 22, 1), generation="000001", pages={})
        best_s = min(best_s, time.process_time() - began)
    return best_s


def draw(rows: list[tuple[int, float]]) -> None:
    """The plot, the same bytes for the same numbers."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "kirsch"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5))
    axes.plot([size for size, _ in rows], [seconds for _, seconds in rows], marker="o", label="rendering")
    axes.axhline(BUDGET_S, linestyle="--", color="grey", label="budget for 10,000")
    axes.set(xlabel="vhosts", ylabel="seconds of the processor", ylim=(0, BUDGET_S * 1.1), xlim=(0, None))
    axes.legend()
    figure.tight_layout()
    figure.savefig(DOCS / "vhosts.svg", metadata={"Date": None})


def main() -> None:
    """Measure, write, draw."""
    rows = [(size, round(measure(size), 3)) for size in SIZES]
    with open(DOCS / "vhosts.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("vhosts", "seconds"))
        writer.writerows(rows)
    draw(rows)
    for size, seconds in rows:
        print(f"{size:6} {seconds:7.3f} s  {seconds / size * 1000:.3f} ms each")


if __name__ == "__main__":
    main()
