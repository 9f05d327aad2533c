"""What was deployed on a host, one JSON line per deploy, for people and for `prune`: ROOT/history.jsonl."""

from __future__ import annotations

import msgspec

from kirsch.release.shell import Shell


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One deploy: when (ISO 8601, UTC), who from where, what, how it ended, in seconds how long it took."""

    at: str
    by: str
    verb: str
    release: str
    previous: str | None = None
    outcome: str
    reason: str | None = None
    took_s: float


def append_line(shell: Shell, path: str, line: Line) -> None:
    """Add *line* to the history on a host."""
    shell.append(path, msgspec.json.encode(line) + b"\n")


def read_lines(shell: Shell, path: str) -> tuple[Line, ...]:
    """Return the history of a host, oldest first. A line that cannot be read (cut short by a full disk) is passed
    over.
    """
    lines = []
    for raw in (shell.read(path) or b"").splitlines():
        try:
            lines.append(msgspec.json.decode(raw, type=Line))
        except msgspec.DecodeError:
            continue
    return tuple(lines)
