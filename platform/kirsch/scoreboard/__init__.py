"""The scoreboard: one file a pool, mapped by its workers and the supervisor; who is doing what, also after SIGKILL.

Laws:

- One writer a record. Records 1.. belong to workers (their *rows* to single threads), record 0 to the supervisor, who
  adds the counters of ended workers to it, so that a pool's counters never go back.
- No lock. Counters are aligned 64-bit words, written whole; the words that belong together (state, pid, …; line and
  request id of a row) stand under or between sequence counters, so that a reader sees when they change.
- A thread counts each handler in a cell of its own, which says everything that was answered; rows say how many. So the
  numbers by page handler cost a request nothing that a plain sum would not cost.
- Everything in flight is Σ begun - Σ finished over the rows, so a stream may end on another thread than it began on.

``layout`` says where each word is, ``row`` is what a thread writes, ``directory`` has handlers and cells, ``writer`` is
a worker's pen, ``board`` the file, ``values`` what readers get.
"""

from kirsch.scoreboard.board import Scoreboard
from kirsch.scoreboard.directory import NOBODYS, Harvest
from kirsch.scoreboard.layout import BOUNDS_S, HANDLER_LIMIT, SPARE_ROWS, STATES
from kirsch.scoreboard.row import Row
from kirsch.scoreboard.values import (
    NOBODY,
    OTHERS,
    CheckState,
    Counted,
    Counters,
    Exemplar,
    Handled,
    Handler,
    Progress,
    Record,
    Running,
    describe_request,
)
from kirsch.scoreboard.writer import Writer

__all__ = [
    "BOUNDS_S",
    "HANDLER_LIMIT",
    "NOBODY",
    "NOBODYS",
    "OTHERS",
    "SPARE_ROWS",
    "STATES",
    "CheckState",
    "Counted",
    "Counters",
    "Exemplar",
    "Handled",
    "Handler",
    "Harvest",
    "Progress",
    "Record",
    "Row",
    "Running",
    "Scoreboard",
    "Writer",
    "describe_request",
]
