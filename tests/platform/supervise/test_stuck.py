"""Which requests are stuck, and where."""

from __future__ import annotations

from kirsch.scoreboard import Running
from kirsch.supervise.stuck import find_stuck, pick_stacks
from kirsch.supervise.watch import describe_running

DUMP = """Thread 0x00007f1 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait
Thread 0x00007f2 (most recent call first):
  File "/srv/shop/releases/r1/shop/web.py", line 9 in report
  File "/usr/lib/python3.11/threading.py", line 982 in run
Current thread 0x00007f3 (most recent call first):
  File "/srv/shop/envs/lib/kirsch/worker/life.py", line 50 in wait
"""


def test_only_handlers_beyond_the_deadline_are_stuck() -> None:
    """An answer that streams for hours is none."""
    slow = Running("GET /report", 61.0, handler="shop.web.Shop.report", request_id="5f0c")
    stream = Running("GET /events", 4000.0, phase="sending")

    assert find_stuck([Running("GET /", 0.1), stream, slow], 60.0) == [slow]
    assert describe_running(slow) == "GET /report, request 5f0c, shop.web.Shop.report, 61 s"
    assert describe_running(Running("GET /", 2.0)) == "GET /, 2 s"


def test_the_thread_in_the_release_is_picked() -> None:
    """Threads that wait for work are left out; if none is in the release's code, all are shown."""
    assert pick_stacks(DUMP, "/srv/shop/releases/r1").splitlines()[1:2] == [
        '  File "/srv/shop/releases/r1/shop/web.py", line 9 in report'
    ]
    assert "life.py" not in pick_stacks(DUMP, "/srv/shop/releases/r1")
    assert pick_stacks(DUMP, "/srv/shop/releases/r") == DUMP
    assert pick_stacks("", "/srv") == ""
