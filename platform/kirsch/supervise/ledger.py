"""The supervisor's side of a pool's scoreboard: who writes which record, and what remains of those who ended."""

from __future__ import annotations

from collections.abc import Iterable

from kirsch.errors import SuperviseError
from kirsch.scoreboard import SPARE_ROWS, Counters, Handled, Record, Scoreboard
from kirsch.spec import Pool
from kirsch.supervise.worker import Worker


class Ledger:
    """Records of one pool."""

    def __init__(self, path: str, pool: Pool) -> None:
        self.path = path
        self._taken: set[int] = set()
        found = _open_if_there(path)
        self.board = found if found is not None and _fits(found, pool) else self._make(pool, found)

    def fit(self, pool: Pool) -> None:
        """Have room for what *pool* asks for now; workers that live keep the board that they have mapped."""
        if not _fits(self.board, pool):
            self.board = self._make(pool, self.board)

    def take(self) -> int:
        """Return a free record.

        Raises:
            SuperviseError: there is none: too many workers of earlier generations are still draining.
        """
        for record in range(1, self.board.records + 1):
            if record not in self._taken:
                self._taken.add(record)
                return record
        raise SuperviseError(f"{len(self._taken)} workers are alive, most of them draining: wait for them")

    def claim(self, worker: Worker) -> None:
        """Note that a record is in use, by a worker that was adopted."""
        self._taken.add(worker.order.record)

    def release(self, record: int) -> None:
        """Free a record that nobody has written to."""
        self._taken.discard(record)

    def close(self, worker: Worker) -> Record:
        """Add what an ended worker counted to the pool's sums and free its record; return its last state."""
        last = worker.board.read(worker.order.record)
        self.board.absorb(worker.board, worker.order.record)
        worker.board.clear(worker.order.record)
        if worker.board is self.board:
            self._taken.discard(worker.order.record)
        return last

    def totals(self, living: Iterable[Worker]) -> Counters:
        """What the pool has done since its first board, by ended and by living workers."""
        return self.survey(living)[0]

    def survey(self, living: Iterable[Worker]) -> tuple[Counters, tuple[Handled, ...]]:
        """The same in all, and by page handler."""
        done, found = self.board.survey()
        for worker in living:
            if worker.board is not self.board:
                done += worker.board.progress(worker.order.record)
                worker.board.harvest(worker.order.record, found)
        return found.counters(done), found.handled()

    def _make(self, pool: Pool, before: Scoreboard | None) -> Scoreboard:
        made = Scoreboard.create(self.path, _records(pool), _rows(pool))
        if before is not None:
            made.absorb(before, 0)
        self._taken = set()
        return made


def _records(pool: Pool) -> int:
    """A generation, the next one booting, an earlier one draining, and some."""
    return 3 * pool.workers.max + 4


def _rows(pool: Pool) -> int:
    return pool.threads + SPARE_ROWS


def _fits(board: Scoreboard, pool: Pool) -> bool:
    return board.records >= _records(pool) and board.rows >= _rows(pool)


def _open_if_there(path: str) -> Scoreboard | None:
    try:
        return Scoreboard.open(path)
    except (OSError, ValueError):
        return None  # none yet, or one of another version: it is made anew
