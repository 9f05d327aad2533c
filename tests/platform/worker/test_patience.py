"""``tools.drain.timeout``: who is waited for, and for how long, when a worker is told to go."""

from __future__ import annotations

import functools
import http.client
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.link.order import Limits
from kirsch.worker.patience import KEPT_S, Patience, end_of_patience


@pytest.fixture(params=["native", "gunicorn", "uwsgi"])
def start(start_worker: Callable[..., Any], request: pytest.FixtureRequest) -> Any:
    return functools.partial(start_worker, engine=request.param)


def test_a_handler_may_have_more_time_than_the_pool(start: Any, tmp_path: Path) -> None:
    """It is finished after drain_s is long over, and the supervisor reads for how long it asks."""
    worker = start(limits=Limits(drain_s=0.2))
    path = worker.ready()
    done = tmp_path / "done"
    with worker.connect(path) as line:
        line.sendall(f"GET /patiently?file={done} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        worker.wait_until_inside()
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_until("draining")
        deadline = time.monotonic() + 10
        while not (asks_for_s := worker.board.read(1).asks_for_s) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.5)  # drain_s is over
        done.touch()
        answer = http.client.HTTPResponse(line)
        answer.begin()
        body = answer.read()

    assert 50 < asks_for_s <= 60
    assert body == b"finished"
    assert worker.process.wait(15) == 0


def test_a_handler_may_have_less(start: Any) -> None:
    """Nobody waits for it, though drain_s is a minute; but as long as nginx may pass requests on."""
    worker = start(limits=Limits(drain_s=60))
    path = worker.ready()
    with worker.connect(path) as line:
        line.sendall(b"GET /briefly?s=50 HTTP/1.1\r\nHost: h\r\n\r\n")
        worker.wait_until_inside()
        began = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        status = worker.process.wait(30)
        took_s = time.monotonic() - began

    assert status == 0
    assert KEPT_S - 0.5 < took_s < 30


def test_the_longest_counts() -> None:
    """Requests without a time of their own are waited for as the pool says, whatever the others want."""
    assert end_of_patience(30.0, 0, []) == 30.0
    assert end_of_patience(30.0, 2, [2.0]) == 30.0
    assert end_of_patience(30.0, 2, [300.0]) == 300.0
    assert end_of_patience(30.0, 2, [10.0, 20.0]) == 20.0
    assert end_of_patience(1.0, 1, [0.5]) == 1.0


@pytest.mark.parametrize("timeout", [0, -1, "5", True, None, 1e9])
def test_what_is_no_time_is_refused(timeout: Any) -> None:
    """With the key, what was given and what is allowed."""
    with pytest.raises(ValueError, match=r"tools\.drain\.timeout = .*: allowed: seconds"):
        Patience().check(timeout)
