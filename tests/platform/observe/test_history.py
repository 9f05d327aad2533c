"""The last hour: what becomes of counts, how long it is kept, who takes it up."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.observe.history import COLUMN_S, COLUMNS, MARKS, History, Sample, describe_event, quantile
from kirsch.scoreboard import BOUNDS_S, Counters

BUCKETS = len(BOUNDS_S) + 1


def counted(**answers: int) -> Counters:
    """Counters with so many answers of each class (``c2=300``), all of them under a millisecond."""
    cells = [0] * (5 * BUCKETS)
    for name, count in answers.items():
        cells[(int(name[1]) - 1) * BUCKETS] = count
    return Counters(begun=sum(cells), finished=sum(cells), answers=tuple(cells))


def test_counts_become_rates_of_their_seconds() -> None:
    """What was counted before the first look does not show; the newest column is drawn anew until it is over."""
    history = History(1000.0)
    history.record(1000.0, Sample(counted(c2=5000)))
    history.record(1001.0, Sample(counted(c2=5100), in_flight=7))
    early = history.past().columns
    history.record(1004.0, Sample(counted(c2=5360, c4=20, c5=16), unanswered=4, in_flight=2, held=3))
    (column,) = history.past().columns

    assert (early[0].at, early[0].requests) == (1000.0, 100.0)
    assert column.requests == 99.0
    assert column.client_errors == 5.0
    assert column.server_errors == 5.0
    assert (column.in_flight, column.held) == (7, 3)
    assert column.p99_ms == pytest.approx(0.99)


def test_a_new_column_begins_every_five_seconds() -> None:
    """Each counts its own; one without answers has no latency."""
    history = History(1000.0)
    for second, count in enumerate([0, 10, 20, 30, 40, 50, 50, 50, 50, 50, 50, 50]):
        history.record(1000.0 + second, Sample(counted(c2=count)))
    columns = history.past().columns

    assert [column.at for column in columns] == [1000.0, 1005.0, 1010.0]
    assert [column.requests for column in columns] == [10.0, 0.0, 0.0]
    assert columns[1].p50_ms is None


def test_it_is_bounded() -> None:
    """An hour of columns, a hundred marks, however long it runs."""
    history = History(0.0)
    for step in range(COLUMNS * 2):
        history.record(step * COLUMN_S, Sample(counted(c2=step)))
        history.mark({"kind": "rolled", "at": step * COLUMN_S, "release": f"r{step}", "generation": step})
    past = history.past()

    assert len(past.columns) == COLUMNS
    assert len(past.marks) == MARKS
    assert past.columns[0].at > COLUMNS * COLUMN_S / 2


def test_clocks_that_are_set_back_and_pools_that_go_make_nothing_negative() -> None:
    """Columns stay in order; what was counted less is no answer."""
    history = History(1000.0)
    history.record(1000.0, Sample(counted(c2=100)))
    history.record(1007.0, Sample(counted(c2=50)))
    history.record(900.0, Sample(counted(c2=60)))
    history.record(903.0, Sample(counted(c2=90)))
    columns = history.past().columns

    assert [column.requests for column in columns] == [10.0]
    assert [column.at for column in columns] == [900.0]


def test_the_next_supervisor_goes_on() -> None:
    """Columns and marks of the last hour, and since when."""
    before = History(1000.0)
    for second in range(12):
        before.record(1000.0 + second, Sample(counted(c2=second)))
    before.mark({"kind": "died", "at": 1003.0, "worker": "web.1", "message": "SIGKILL"})
    after = History(1020.0)

    assert after.take_up(before.to_json(), 1020.0)
    assert after.past() == before.past()


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"version": 0}', b'{"version": 1, "since": 0, "columns": [[1]], "marks": []}']
)
def test_what_cannot_be_read_is_left(data: bytes) -> None:
    """Another version, a file cut short: the charts begin anew."""
    history = History(1000.0)

    assert not history.take_up(data, 1000.0)
    assert history.past().columns == ()


def test_what_is_old_is_left_out() -> None:
    """A stack that stood still for a day shows nothing of the day before."""
    before = History(1000.0)
    for second in range(12):
        before.record(1000.0 + second, Sample(counted(c2=second)))
    after = History(90_000.0)
    after.take_up(before.to_json(), 90_000.0)

    assert after.past().columns == ()
    assert after.past().since == 90_000.0


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"kind": "rolled", "release": "r2", "generation": 5}, "rolled to r2 (generation 5)"),
        ({"kind": "roll_failed", "release": "r3", "message": "web.1: no"}, "roll to r3 failed: web.1: no"),
        ({"kind": "died", "worker": "web.2", "message": "SIGKILL"}, "web.2 died: SIGKILL"),
        ({"kind": "scaled", "pool": "web", "workers": 4}, "web scaled to 4 workers"),
        ({"kind": "started", "message": "2 workers adopted"}, "supervisor started, 2 workers adopted"),
        ({"kind": "paused", "pool": "web"}, "web paused"),
    ],
)
def test_marks_say_what_happened(event: dict[str, Any], text: str) -> None:
    """In a line."""
    assert describe_event(event) == text


def test_quantiles_lie_between_bounds() -> None:
    """Evenly spread between two bounds; none without answers; at the last bound beyond it."""
    empty = [0] * BUCKETS

    assert quantile(empty, 0.5) is None
    assert quantile([100, *empty[1:]], 0.5) == pytest.approx(0.0005)
    assert quantile([50, 50, *empty[2:]], 0.75) == pytest.approx(0.00175)
    assert quantile([*empty[:-1], 3], 0.99) == BOUNDS_S[-1]
