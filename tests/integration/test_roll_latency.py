"""What a roll costs those who ask meanwhile: p99 while workers are replaced, beside p99 of the quiet seconds before.

Requests begin by the clock, 300 a second, and their latency counts from when they were due. Quiet seconds and rolls
take turns, and each is compared by the median of its turns: on a shared machine somebody else's second at full load
would decide otherwise. The turns that count are those in which others used the processors least.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from kirsch.errors import NginxError
from kirsch.nginx.binary import find_nginx

from ..platform.supervise import conftest as hosts
from . import chaos_report, openload

IS_FULL = int(os.environ.get("CHAOS_TIMES", "1")) > 1
ENGINES = os.environ.get("CHAOS_ENGINES", "native gunicorn uwsgi").split()
REPORT = os.environ.get("CHAOS_REPORT")
MARK = "<!-- latency -->"

RATE = 300.0
TURNS = 10 if IS_FULL else 6
COUNTED = 7 if IS_FULL else 5
QUIET_S = 2.0  # about as long as a roll
#: Beside other tests, as in ``make test``, a burst of theirs that falls into a roll doubles it by itself.
ALLOWED = 2.0 if IS_FULL else 4.0
#: Share of the processors in others' hands beyond which a figure that is too high is theirs.
CROWDED = 0.3
HEAD = (
    "| engine | requests a second | rolls | failed | p50 quiet | p50 roll | p99 quiet | p99 roll |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.timeout(400)]


@dataclass
class Turn:
    """Quiet seconds, then a roll."""

    quiet: Any
    roll: Any
    foreign: float
    """Share of the processors that others used meanwhile."""


@pytest.fixture(scope="module")
def rows() -> Iterator[dict[str, str]]:
    """A row of the table for each engine; written down at the end if somebody asked for it."""
    try:
        find_nginx()
    except NginxError as error:
        pytest.skip(f"no nginx: {error.message}")
    found: dict[str, str] = {}
    yield found
    if REPORT and found:
        head, mark, rest = Path(REPORT).read_text(encoding="utf-8").partition(MARK)
        table, _, rest = rest.partition(f"{MARK}\n")
        before = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
        lines = [*HEAD, *[line for engine, line in (before | found).items() if engine not in {"engine", "---"}]]
        Path(REPORT).write_text(f"{head}{mark}\n\n" + "\n".join(lines) + f"\n\n{MARK}\n{rest}", encoding="utf-8")


@pytest.fixture
def host() -> Iterator[Any]:
    """A host that is cleaned up."""
    made = hosts.Host()
    yield made
    made.clean_up()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_roll_at_most_doubles_p99(host: Any, engine: str, rows: dict[str, str]) -> None:
    """Nobody waits twice as long as ever because workers are replaced, and nobody loses a request."""
    if engine in chaos_report.NEEDED:
        pytest.importorskip(chaos_report.NEEDED[engine])
    host.start(host.state(slots=4, engine=engine), nginx=True)
    host.wait_until_ready(nginx=True)
    generator = openload.OpenLoad(("127.0.0.1", host.port), RATE)
    try:
        time.sleep(1.0)  # so long requests come before any is measured
        foreign = [take_turn(host, generator, number) for number in range(TURNS)]
        sections = {section.name: section for section in generator.stop()}
    finally:
        generator.kill()
    turns = [Turn(sections[f"quiet {n}"], sections[f"roll {n}"], share) for n, share in enumerate(foreign)]
    counted = sorted(turns, key=lambda turn: turn.foreign)[:COUNTED]
    quiet, roll = medians(counted, 0.99)
    failed = sum(section.failed for section in sections.values())
    for turn in turns:
        was, became = turn.quiet.percentile_ms(0.99), turn.roll.percentile_ms(0.99)
        print(f"{engine}: p99 {was:.1f} and {became:.1f} ms, {turn.roll.good} requests, others {turn.foreign:.0%}")
    print(f"{engine}: p99 {quiet:.1f} ms quiet, {roll:.1f} ms in a roll")
    usual, meanwhile = medians(counted, 0.5)
    rows[engine] = (
        f"| {engine} | {RATE:g} | {len(counted)} | {failed} | {usual:.1f} ms | {meanwhile:.1f} ms "
        f"| {quiet:.1f} ms | {roll:.1f} ms |"
    )

    assert failed == 0, [section.examples for section in sections.values()]
    assert all(turn.roll.good > 100 for turn in turns)
    crowded = min(turn.foreign for turn in turns)
    if roll > ALLOWED * quiet and crowded > CROWDED:
        pytest.skip(f"{roll:.1f} ms and {quiet:.1f} ms say nothing: others use {crowded:.0%} of the processors")
    assert roll <= ALLOWED * quiet


def medians(turns: list[Turn], share: float) -> tuple[float, float]:
    """Medians of a percentile in milliseconds, of the quiet seconds and of the rolls."""
    quiet = statistics.median(turn.quiet.percentile_ms(share) for turn in turns)
    return quiet, statistics.median(turn.roll.percentile_ms(share) for turn in turns)


def take_turn(host: Any, generator: Any, number: int) -> float:
    """Let quiet seconds pass, roll until nobody of before is left; return the share of others in the processors."""
    began, busy, ours = time.monotonic(), busy_s(), used_s(host, generator)
    generator.begin(f"quiet {number}")
    time.sleep(QUIET_S)
    generator.begin(f"roll {number}")
    host.control.call("roll")
    host.wait_until_ready(nginx=True)
    foreign = (busy_s() - busy) - (used_s(host, generator) - ours)
    return max(0.0, foreign / (time.monotonic() - began) / (os.cpu_count() or 1))


def busy_s() -> float:
    """Processor time of everybody since the machine's start, what it did not get itself (steal) included."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - times.iowait)


def used_s(host: Any, generator: Any) -> float:
    """Processor time of the stack, of those of its processes that have ended, and of the load generator."""
    roots = [host.process.pid, generator.process.pid, os.getpid(), host.status()["nginx"]["pid"]]
    processes = {one.pid: one for root in roots for one in family(root)}
    return sum(sum(one.cpu_times()[:4]) for one in processes.values() if one.is_running())


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]
