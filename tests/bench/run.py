"""``make bench``: the contenders side by side in one run, on this machine, as ratios.

Each contender is one process pinned to the first core; ``wrk`` loads it from the second. Rounds are interleaved,
the table shows medians. Absolute numbers mean nothing on another machine: read the ratio column.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "bench"
RIVAL = ["CherryPy==18.10.0", "cheroot==11.1.2"]


@dataclass(frozen=True)
class Contender:
    """One server with one framework: *command* makes its argv from a port and a number of threads."""

    name: str
    command: Callable[[int, int], list[str]]


@dataclass(frozen=True)
class Scenario:
    """One page under one kind of load, and the answer that proves the page is served."""

    name: str
    path: str
    expected: bytes
    connections: int = 32
    threads: int = 10


@dataclass
class Score:
    """What the rounds of one contender in one scenario gave: requests/s, milliseconds, failed requests."""

    rates: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    failed: int = 0


SCENARIOS = [
    Scenario("hello", "/", b"Hello, world!"),
    Scenario("item", "/item/7?colour=blue", b"item 7 is blue"),
    Scenario("json", "/data", b'"nested"'),
    Scenario("blocking 20 ms", "/slow", b"slow", connections=100, threads=100),
]


def rival_python() -> str:
    """Make (once) the environment in which the released CherryPy runs, and name its interpreter."""
    home = CACHE / "rival"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *RIVAL], check=True)
    return str(python)


def contenders() -> list[Contender]:
    """Who takes part; the first one is what the ratios are taken against."""
    rival = rival_python()
    app = str(HERE / "cherry_app.py")

    def gunicorn(module: str) -> Callable[[int, int], list[str]]:
        return lambda port, threads: [
            *[sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", str(threads), "--keep-alive", "30"],
            *["--log-level", "error", "-b", f"127.0.0.1:{port}", "--chdir", str(HERE), module],
        ]

    return [
        Contender("CherryPy 18 on cheroot", lambda port, threads: [rival, app, str(port), str(threads)]),
        Contender("kirsch, native server", lambda port, threads: [sys.executable, app, str(port), str(threads)]),
        Contender("kirsch on gunicorn gthread", gunicorn("cherry_app:application")),
        Contender("Flask on gunicorn gthread", gunicorn("flask_app:application")),
    ]


@contextmanager
def serving(contender: Contender, scenario: Scenario) -> Iterator[int]:
    """Run *contender* on the first core, wait for the right answer, give its port, end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["taskset", "-c", "0", *contender.command(port, scenario.threads)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=HERE)
    try:
        wait_for_answer(f"http://127.0.0.1:{port}{scenario.path}", scenario.expected, process)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stderr is not None
        process.stderr.close()


def wait_for_answer(url: str, expected: bytes, process: subprocess.Popen[bytes], limit_s: float = 20) -> None:
    """Ask *url* until it answers, and insist on the right answer."""
    end = time.monotonic() + limit_s
    while True:
        with suppress(OSError):
            answer = urllib.request.urlopen(url, timeout=2).read()
            if expected not in answer:
                raise SystemExit(f"{url} answered {answer[:200]!r}, expected {expected!r}")
            return
        if process.poll() is not None or time.monotonic() > end:
            assert process.stderr is not None
            process.kill()
            raise SystemExit(f"{process.args!r} does not serve:\n{process.stderr.read().decode()}")
        time.sleep(0.05)


def load(port: int, scenario: Scenario, seconds: float, score: Score) -> None:
    """One round of wrk from the second core, added to *score*."""
    url = f"http://127.0.0.1:{port}{scenario.path}"
    wrk = ["taskset", "-c", "1", "wrk", "-t1", f"-c{scenario.connections}", f"-d{seconds:g}s", "--latency", url]
    text = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
    score.rates.append(float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]))
    score.p50_ms.append(milliseconds(re.findall(r"^ +50% +(\S+)", text, re.MULTILINE)[0]))
    score.p99_ms.append(milliseconds(re.findall(r"^ +99% +(\S+)", text, re.MULTILINE)[0]))
    score.failed += sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    score.failed += sum(
        int(number) for found in re.findall(r"Socket errors: (.*)", text) for number in re.findall(r"\d+", found)
    )


def milliseconds(text: str) -> float:
    """Turn wrk's '1.50ms' into 1.5."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}[unit]


def main() -> None:
    """Run the rounds, print one table, exit 1 when the floor asked for is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--only", help="scenarios whose name contains this")
    parser.add_argument("--floor", type=float, default=12, help="least ratio of the native server for hello")
    options = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"bench: {tool} is missing; install it (Debian: apt-get install wrk util-linux)")
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("bench: needs two cores, one for the server and one for the load")

    players = contenders()
    chosen = [scenario for scenario in SCENARIOS if not options.only or options.only in scenario.name]
    scores = {(player.name, scenario.name): Score() for player in players for scenario in chosen}
    for number in range(options.rounds):
        for scenario in chosen:
            for player in players:
                print(f"round {number + 1}/{options.rounds}: {scenario.name}: {player.name}", file=sys.stderr)
                with serving(player, scenario) as port:
                    load(port, scenario, 1, Score())  # warm-up, not counted
                    load(port, scenario, options.seconds, scores[player.name, scenario.name])

    Console(width=110).print(table(players, chosen, scores))
    hello = [scores[player.name, "hello"] for player in players[:2]] if not options.only else []
    if hello and statistics.median(hello[1].rates) < options.floor * statistics.median(hello[0].rates):
        raise SystemExit(f"bench: hello is below {options.floor:g} times {players[0].name}")


def table(players: list[Contender], chosen: list[Scenario], scores: dict[tuple[str, str], Score]) -> Table:
    """The medians as a table, with ratios to the first player."""
    shown = Table(title="requests per second, one process on one core, medians of interleaved rounds")
    for heading in ("scenario", "server", "req/s", "ratio", "p50 ms", "p99 ms", "failed"):
        shown.add_column(heading, justify="left" if heading in ("scenario", "server") else "right")
    for scenario in chosen:
        base = statistics.median(scores[players[0].name, scenario.name].rates)
        for player in players:
            score = scores[player.name, scenario.name]
            rate = statistics.median(score.rates)
            cells = [scenario.name, player.name, f"{rate:,.0f}", f"{rate / base:.1f} x"]
            cells += [
                f"{statistics.median(score.p50_ms):.2f}",
                f"{statistics.median(score.p99_ms):.2f}",
                str(score.failed),
            ]
            shown.add_row(*cells)
        shown.add_section()
    return shown


if __name__ == "__main__":
    main()
