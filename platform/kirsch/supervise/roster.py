"""The roster: who works here, on disk, so that the next supervisor can adopt them. ``RUN/roster.json``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kirsch.link.order import Order
from kirsch.link.state import State, write_whole
from kirsch.spec.stack import decode_special, dump_json


class Entry(msgspec.Struct, kw_only=True, frozen=True):
    """One living worker process."""

    order: Order
    pid: int
    ticks: int
    """Its start in clock ticks since boot: a pid alone may be another's by now."""
    log_path: str
    is_seated: bool
    """False for one that drains, or did not become ready."""
    is_out: bool = False
    """True while the operator keeps it from new requests."""


class Posture(msgspec.Struct, kw_only=True, frozen=True):
    """What the operator has said of a pool since its last roll."""

    wanted: int
    is_fixed: bool = False
    is_paused: bool = False


class Roster(msgspec.Struct, kw_only=True, frozen=True):
    """What a supervisor knew last: the state that runs, and the workers."""

    state: State
    generation: int
    workers: tuple[Entry, ...] = ()
    pools: dict[str, Posture] = {}
    restarts: dict[str, int] = {}
    """Restarts by worker name."""


def roster_path(run: str) -> str:
    """Where the roster of a run directory lies."""
    return f"{run}/roster.json"


def write_roster(run: str, roster: Roster) -> None:
    """Write the roster, whole or not at all."""
    write_whole(roster_path(run), dump_json(roster))


def load_roster(run: str) -> Roster | None:
    """Return the roster that is there; None if there is none, or one of another version."""
    try:
        data = Path(roster_path(run)).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=Roster, dec_hook=decode_special)
    except msgspec.MsgspecError:
        return None


def remove_roster(run: str) -> None:
    """Remove it: nobody works here any more."""
    Path(roster_path(run)).unlink(missing_ok=True)
