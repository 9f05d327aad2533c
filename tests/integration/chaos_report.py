"""What the scenes of the fault suite saw, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .lost import Lost

HEAD = (
    "| engine | what is done | requests | failed | may fail | p99 quiet | p99 meanwhile | seconds |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
)
LOST_HEAD = (
    "| engine | kills | lost | inside a handler | answered, not yet sent | sent to it, not begun | not sent |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
)
ENGINES = ("native", "gunicorn", "uwsgi")
#: What an engine needs, as it is imported.
NEEDED = {"gunicorn": "gunicorn", "uwsgi": "pyuwsgi"}


@dataclass
class Result:
    """One line of the table."""

    engine: str
    scene: str
    requests: int
    failed: int
    allowed: int
    quiet_p99_ms: float
    p99_ms: float
    took_s: float
    failures: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    lost: Lost = field(default_factory=Lost)


def table(results: list[Result], scenes: Sequence[str], before: str = "") -> str:
    """Return the results as tables in Markdown; rows of those *before* that were not done again stay."""
    rows, kills = {}, {}
    for line in before.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in ENGINES and len(cells) == 8:
            rows[cells[0], cells[1]] = line
        elif cells[0] in ENGINES:
            kills[cells[0]] = line
    for one in results:
        rows[one.engine, one.scene] = (
            f"| {one.engine} | {one.scene} | {one.requests} | {one.failed} | {one.allowed} | {one.quiet_p99_ms:.1f} ms "
            f"| {one.p99_ms:.1f} ms | {one.took_s:.1f} |"
        )
        if one.kills:
            lost = one.lost
            kills[one.engine] = (
                f"| {one.engine} | {one.kills} | {one.failed} | {lost.inside} | {lost.answered} | {lost.unread} "
                f"| {lost.unsent} |"
            )
    order = [(engine, scene) for engine in ENGINES for scene in scenes]
    lines = [*HEAD, *[rows[key] for key in order if key in rows], "", "Where the requests were that SIGKILL took:", ""]
    return "\n".join([*lines, *LOST_HEAD, *[kills[engine] for engine in ENGINES if engine in kills]]) + "\n"
