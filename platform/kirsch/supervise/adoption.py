"""From one supervisor to the next: what is written down of the living, and how they are taken over."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable, Mapping

from kirsch.link.state import State
from kirsch.scoreboard import Scoreboard
from kirsch.supervise.events import Events
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.process import find_workers, send_signal
from kirsch.supervise.roster import Entry, Posture, Roster
from kirsch.supervise.worker import Worker


def describe_everybody(fleets: Mapping[str, Fleet], state: State, generation: int) -> Roster:
    """Return the roster of everybody who lives."""
    entries = []
    for fleet in fleets.values():
        seated = {seat.worker: seat for seat in fleet.seats.values() if seat.worker is not None}
        entries += [
            Entry(
                order=worker.order,
                pid=worker.pid,
                ticks=worker.ticks,
                log_path=worker.log_path,
                is_seated=worker in seated,
                is_out=worker in seated and seated[worker].is_out,
            )
            for worker in dict.fromkeys(fleet.everybody())
            if not worker.is_gone
        ]
    pools = {
        name: Posture(wanted=fleet.wanted, is_fixed=fleet.is_fixed, is_paused=fleet.is_paused)
        for name, fleet in fleets.items()
    }
    return Roster(state=state, generation=generation, workers=tuple(entries), pools=pools)


def take_posture(fleet: Fleet, posture: Posture | None) -> None:
    """Have a fleet go on with what the operator said of it."""
    if posture is not None:
        fleet.wanted = min(posture.wanted, fleet.spec.workers.max)
        fleet.is_fixed, fleet.is_paused = posture.is_fixed, posture.is_paused


def adopt(fleets: Mapping[str, Fleet], entry: Entry) -> tuple[Fleet, Worker] | None:
    """Put a living worker of an earlier supervisor into its fleet; return both if its way leads out.

    It does when it drains, boots for a parent that is gone, or stands by for a roll that is over.
    """
    fleet = fleets.get(entry.order.pool)
    try:
        board = Scoreboard.open(entry.order.scoreboard)
    except (OSError, ValueError):
        board = None
    if fleet is None or board is None:
        return None  # nothing to adopt it into: it counts as an orphan
    if (board.records, board.rows) == (fleet.ledger.board.records, fleet.ledger.board.rows):
        board = fleet.ledger.board
    socket = entry.order.socket_path(entry.pid)
    worker = Worker.adopt(entry.order, entry.pid, entry.ticks, board, entry.log_path, socket)
    is_seated = entry.is_seated and worker.state == "ready"
    fleet.adopt(worker, is_seated=is_seated)
    if is_seated:
        fleet.seats[entry.order.seat].is_out = entry.is_out
        return None
    return fleet, worker


def end_orphans(folder: str, known: Iterable[int], events: Events) -> None:
    """End workers that no roster knows: their supervisor was killed in the moment after it had started them."""
    for pid in find_workers(folder).keys() - set(known):
        events.say("orphan", pid=pid, level=logging.WARNING, message="told to go")
        send_signal(pid, signal.SIGTERM)
