"""``make bench``: the contenders side by side in one run, on this machine, as ratios.

Each contender is pinned to the first core; ``wrk`` loads it from the second. Rounds are interleaved, the table shows
medians. Absolute numbers mean nothing on another machine: read the ratio column.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
from pathlib import Path

from contenders import CACHE, HERE, Contender, Unavailable, all_contenders, rival_python
from measure import Score, make_scratch, measure
from report import Reasons, Scores, draw, print_table, write_csv, write_tables
from scenarios import SCENARIOS, Scenario

__all__ = ["main", "rival_python"]

DOCUMENTS = HERE.parents[1] / "docs" / "bench"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each round, after one second of warm-up")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--servers", default="", help="contenders whose title contains one of these, by comma")
    parser.add_argument("--floor", type=float, default=12, help="least ratio of the native server for hello")
    parser.add_argument("--out", type=Path, help="where results.csv and results.svg go; docs/bench after a full run")
    return parser.parse_args()


def check_machine() -> None:
    """Say what is missing."""
    for tool in ("wrk", "taskset", "openssl"):
        if shutil.which(tool) is None:
            raise SystemExit(f"bench: {tool} is missing; install it (Debian: apt-get install wrk util-linux openssl)")
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("bench: needs two cores, one for the server and one for the load")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run(players: list[Contender], chosen: list[Scenario], rounds: int, seconds: float) -> tuple[Scores, Reasons]:
    """All rounds; a contender that fails in a scenario is out of it, with the reason."""
    scores: Scores = {(player.title, scenario.name): Score() for player in players for scenario in chosen}
    reasons: Reasons = {
        (player.title, scenario.name): player.without[scenario.name]
        for player in players
        for scenario in chosen
        if scenario.name in player.without
    }
    for player in players:
        print(f"environment of {player.title}", file=sys.stderr)
        try:
            player.prepare()
        except Unavailable as error:
            reasons.update({(player.title, scenario.name): str(error) for scenario in chosen})
    for number in range(rounds):
        for scenario in chosen:
            for player in players:
                key = player.title, scenario.name
                if key in reasons:
                    continue
                print(f"round {number + 1}/{rounds}: {scenario.name}: {player.title}", file=sys.stderr)
                try:
                    measure(player, scenario, seconds, scores[key])
                except Unavailable as error:
                    reasons[key] = f"{scenario.name}: {error}"
    return scores, reasons


def main() -> None:
    """Run the rounds, print one table, exit 1 when the floor asked for is missed."""
    options = parse()
    check_machine()
    make_scratch()
    wanted = [part.strip().lower() for part in options.servers.split(",")]
    players = [one for one in all_contenders() if any(part in one.title.lower() for part in wanted)]
    chosen = [scenario for scenario in SCENARIOS if options.only in scenario.name]
    if not players or not chosen:
        raise SystemExit("bench: no contender or no scenario of that name")
    scores, reasons = run(players, chosen, options.rounds, options.seconds)
    print_table(players, chosen, scores, reasons)
    is_full = not options.only and not options.servers and options.rounds >= 3
    folder = options.out or (DOCUMENTS if is_full else CACHE)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "results.csv", chosen, scores, reasons)
    if (folder / "README.md").exists():
        write_tables(folder / "README.md", players, chosen, scores)
    drawn = draw(folder / "results.svg", players, chosen, scores)
    print(f"{folder / 'results.csv'}{', results.svg' if drawn else '; no plot without matplotlib'}")
    if not options.only and not options.servers:
        check_floor(scores, options.floor)


def check_floor(scores: Scores, floor: float) -> None:
    """Exit 1 if the native server misses its least ratio to the released CherryPy."""
    ours, rival = (scores.get((title, "hello")) for title in ("kirsch on its own server", "CherryPy 18 on cheroot"))
    if ours and rival and ours.rates and rival.rates:
        ratio = statistics.median(ours.rates) / statistics.median(rival.rates)
        if ratio < floor:
            raise SystemExit(f"bench: hello is {ratio:.1f} times the released CherryPy, less than {floor:g}")


if __name__ == "__main__":
    main()
