"""Where everything is in the file, in 64-bit words of the machine's order.

::

    file    MAGIC, records, rows, spare to a page | record 0 | record 1 | …
    record  512 words: sequence, state, … release, note, how many handlers and cells are in use, health checks
            | row 0 | row 1 | … | handler 0 | … | cell 0 | …, up to a whole page, so that a worker can map its own alone
    row     40 words: finished, entered, phase, begun, request line, request id, handler, begun again, thread, …
    handler 40 words: application, name, method and code, padded with zeros; written once, before they are counted in
    cell    88 words: what one thread has counted of one handler: nanoseconds, octets, answers by class of status and
            duration, and the last slow request. Handler n + 1 is written here; 0 is nobody's.

Most of a file is never touched, and takes no memory.
"""

from __future__ import annotations

import struct

MAGIC = int.from_bytes(b"KIRSCH04", "little")
PAGE_WORDS = 512
FILE_WORDS = PAGE_WORDS
RECORD_WORDS = 512
ROW_WORDS = 40
HANDLER_WORDS = 40
CELL_WORDS = 88

#: Handlers that one record can tell apart (each with its method); all further ones are counted as one.
HANDLER_LIMIT = 512
#: Cells of a record besides one for each row; a thread that gets none counts on its row's, as of any other handler.
CELL_LIMIT = 1024

# words of a record
SEQUENCE, STATE, PID, GENERATION, SEAT, STARTED, SINCE, HEARTBEAT, RSS, RELEASE_LENGTH, NOTE_LENGTH, ASKED_UNTIL = (
    range(12)
)
CHECKS_LENGTH, COLLECTIONS = 12, 13
RELEASE, RELEASE_BYTES = 16, 128
NOTE, NOTE_BYTES = 32, 256
HANDLERS_USED, CELLS_USED = 64, 65
CHECKS, CHECKS_BYTES = 72, 3520

# words of a row
FINISHED, ENTERED, PHASE, BEGUN, LINE = range(5)
LINE_BYTES = 160
REQUEST_ID, REQUEST_ID_BYTES = 24, 40
HANDLER, BEGUN_AGAIN, THREAD, LATE_OF, LATE_HANDLER, WAITED, WAITS = range(29, 36)

# words of a cell
CELL_HANDLER, CELL_DURATION, CELL_BYTES, CELL_ANSWERS = range(4)
EXEMPLAR = 78

#: A handler's texts.
HANDLER_TEXTS = struct.Struct("=48s120s16s128s")

# PERF: many words that change together are written by one call (0.09 us); a store costs 0.03, an increment 0.07.
#: At ENTERED: entered, phase, begun, line, request id, handler, begun. The two counts embrace what belongs together.
write_begin = struct.Struct(f"=QQQ{LINE_BYTES}s{REQUEST_ID_BYTES}sQQ").pack_into
#: At LATE_OF: the count of the request, its handler; it is another request's as soon as BEGUN is another.
write_late = struct.Struct("=QQ").pack_into
#: At ENTERED: what readers take.
read_begin = struct.Struct(f"=QQQ{LINE_BYTES}s{REQUEST_ID_BYTES}sQQQQQ").unpack_from
#: At EXEMPLAR: Unix time in nanoseconds, how long it took, request id, the time again.
EXEMPLAR_FORM = struct.Struct(f"=QQ{REQUEST_ID_BYTES}sQ")

# values of PHASE
IN_HANDLER, IS_SENDING = 1, 2

#: Names of states by their number in the file.
STATES = ("empty", "booting", "ready", "draining", "stopped", "failed", "warming")

#: Upper bounds of the histogram's buckets, in seconds; a last bucket has no bound.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BOUNDS_NS = tuple(int(bound * 1e9) for bound in BOUNDS_S)
BUCKET_COUNT = len(BOUNDS_S) + 1
CELL_COUNT = 5 * BUCKET_COUNT
#: What of a cell is summed: duration, octets, answers.
SUMS_BYTES = (2 + CELL_COUNT) * 8
#: Where the answers of a class of status begin in a cell; 0 is not a class.
CELL_OF_CLASS = tuple(CELL_ANSWERS + max(0, number - 1) * BUCKET_COUNT for number in range(6))

#: Rows beyond a worker's threads: for the engine's own and the application's.
SPARE_ROWS = 6
