"""Where everything is in the file, in 64-bit words of the machine's order.

::

    file    MAGIC, records, rows, 5 spare | record 0 | record 1 | …
    record  64 words: sequence, state, … release, note | row 0 | row 1 | …
    row     128 words: duration, entered, phase, begun, request line, request id, begun again, thread, handler
            and whose that is, answers by status class and duration (their sum is what was finished), waiting times
"""

from __future__ import annotations

import struct

MAGIC = int.from_bytes(b"KIRSCH03", "little")
FILE_WORDS = 8
RECORD_WORDS = 64
ROW_WORDS = 128

# words of a record
SEQUENCE, STATE, PID, GENERATION, SEAT, STARTED, SINCE, HEARTBEAT, RSS, RELEASE_LENGTH, NOTE_LENGTH, ASKED_UNTIL = (
    range(12)
)
RELEASE, RELEASE_BYTES = 16, 128
NOTE, NOTE_BYTES = 32, 256

# words of a row
DURATION, ENTERED, PHASE, BEGUN, LINE = range(5)
LINE_BYTES = 160
REQUEST_ID, REQUEST_ID_BYTES = 24, 40
BEGUN_AGAIN, THREAD, HANDLER_OF, HANDLER_BYTES = 29, 30, 31, 96
ANSWERS = 44

# PERF: many words that change together are written by one call (0.09 us); a store costs 0.03, an increment 0.07.
#: At ENTERED: entered, phase, begun, line, request id, begun. The two counts embrace what belongs together.
write_begin = struct.Struct(f"=QQQ{LINE_BYTES}s{REQUEST_ID_BYTES}sQ").pack_into
#: At HANDLER_OF: the count of the request, its handler; it is another request's as soon as BEGUN is another.
write_handler = struct.Struct(f"=Q{HANDLER_BYTES}s").pack_into
#: At ENTERED: what readers take.
read_begin = struct.Struct(f"=QQQ{LINE_BYTES}s{REQUEST_ID_BYTES}sQQQ{HANDLER_BYTES}s").unpack_from

# values of PHASE
IN_HANDLER, IS_SENDING = 1, 2

#: Names of states by their number in the file.
STATES = ("empty", "booting", "ready", "draining", "stopped", "failed", "warming")

#: Upper bounds of the histogram's buckets, in seconds; a last bucket has no bound.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BOUNDS_NS = tuple(int(bound * 1e9) for bound in BOUNDS_S)
BUCKET_COUNT = len(BOUNDS_S) + 1
CELL_COUNT = 5 * BUCKET_COUNT
#: Behind the answers: nanoseconds that some requests had waited before a thread took them, and how many these were.
WAITED, WAITS = ANSWERS + CELL_COUNT, ANSWERS + CELL_COUNT + 1
#: Where the cells of a class of status begin; 0 is not a class.
CELL_OF_CLASS = tuple(ANSWERS + max(0, number - 1) * BUCKET_COUNT for number in range(6))

#: Rows beyond a worker's threads: for the engine's own and the application's.
SPARE_ROWS = 6
