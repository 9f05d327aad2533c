"""What was answered, by page handler: exact, bounded, readable after a kill, never lost with a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kirsch.scoreboard import HANDLER_LIMIT, NOBODY, OTHERS, CheckState, Handled, Handler, Scoreboard, layout

INDEX = Handler("shop", "Root.index", "GET", "shop/web.py: Root.index")
CART = Handler("shop", "Root.cart", "POST", "shop/web.py: Root.cart")


@pytest.fixture
def board(tmp_path: Path) -> Scoreboard:
    return Scoreboard.create(str(tmp_path / "web.board"), 3, 4)


def by_handler(found: tuple[Handled, ...]) -> dict[Handler, Handled]:
    return {one.handler: one for one in found}


def test_each_handler_is_counted_by_itself(board: Scoreboard) -> None:
    """Answers by class, octets and time; what nobody names is nobody's."""
    writer = board.writer(1)
    row = writer.row()
    for handler, status_class, size in ((INDEX, 2, 10), (CART, 5, 3), (INDEX, 2, 7)):
        began = row.begin(b"GET /")
        row.handled_by(writer.number(handler))
        row.finish(began, status_class, size)
    row.finish(row.begin(b"GET /.env"), 4)

    found = by_handler(board.harvest(1).handled())

    assert {handler: one.by_class() for handler, one in found.items()} == {
        INDEX: (0, 2, 0, 0, 0),
        CART: (0, 0, 0, 0, 1),
        NOBODY: (0, 0, 0, 1, 0),
    }
    assert (found[INDEX].body_bytes, found[CART].body_bytes) == (17, 3)
    assert found[INDEX].duration_s > 0
    assert board.counters(1).body_bytes == 20


def test_threads_lose_no_count(board: Scoreboard) -> None:
    """More threads than rows, the same handlers in all: to the request."""
    writer = board.writer(1)
    numbers = [writer.number(handler) for handler in (INDEX, CART)]

    def work() -> None:
        row = writer.row()
        for turn in range(400):
            began = row.begin(b"GET /")
            row.handled_by(numbers[turn % 2])
            row.finish(began, 2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(sum(one.answers) for one in board.harvest(1).handled()) == 3200
    assert board.progress(1).finished == 3200


def test_a_stream_counts_for_the_handler_that_began_it(board: Scoreboard) -> None:
    """Whichever thread ends it, and whatever that one did before."""
    writer = board.writer(1)
    row = writer.row()
    began = row.begin(b"GET /stream")
    row.handled_by(stream := writer.number(CART))
    row.leave()
    row.finish(row.begin(b"GET /"), 2)
    row.finish_for(stream, began, 2, 5000)

    found = by_handler(board.harvest(1).handled())

    assert (sum(found[CART].answers), found[CART].body_bytes) == (1, 5000)
    assert board.progress(1).in_flight == 0


def test_what_is_too_much_is_counted_as_others(board: Scoreboard) -> None:
    """A table that is full takes no further name, and loses no request."""
    writer = board.writer(1)
    row = writer.row()
    for number in range(HANDLER_LIMIT + 50):
        began = row.begin(b"GET /")
        row.handled_by(writer.number(Handler("shop", f"page{number}", "GET")))
        row.finish(began, 2)

    found = by_handler(board.harvest(1).handled())

    assert sum(found[OTHERS].answers) == 52  # two numbers are taken: nobody's, and theirs
    assert sum(sum(one.answers) for one in found.values()) == HANDLER_LIMIT + 50
    assert len(found) <= HANDLER_LIMIT


def test_a_thread_without_a_cell_counts_on_its_row(board: Scoreboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that have run out cost a name, and no request."""
    monkeypatch.setattr("kirsch.scoreboard.directory.CELL_LIMIT", 1)
    writer = board.writer(1)
    row = writer.row()
    for handler in (INDEX, CART, INDEX):
        began = row.begin(b"GET /")
        row.handled_by(writer.number(handler))
        row.finish(began, 2)

    found = by_handler(board.harvest(1).handled())

    assert {handler: sum(one.answers) for handler, one in found.items()} == {INDEX: 2, OTHERS: 1}


def test_ended_workers_stay_by_handler(board: Scoreboard, tmp_path: Path) -> None:
    """Absorbed by name: another worker may number them otherwise; and again into a larger board."""
    for record, order in ((1, (INDEX, CART)), (2, (CART, INDEX))):
        writer = board.writer(record)
        row = writer.row()
        for handler in order:
            began = row.begin(b"GET /")
            row.handled_by(writer.number(handler))
            row.finish(began, 2, 5)
        board.absorb(board, record)
        board.clear(record)
    larger = Scoreboard.create(str(tmp_path / "larger"), 6, 4)
    larger.absorb(board, 0)

    for one in (board, larger):
        found = by_handler(one.survey()[1].handled())

        assert {handler: (sum(one.answers), one.body_bytes) for handler, one in found.items()} == {
            INDEX: (2, 10),
            CART: (2, 10),
        }
        assert one.totals().in_flight == 0


def test_a_record_that_is_taken_again_begins_at_nothing(board: Scoreboard) -> None:
    """Names and cells of the one before are nobody's."""
    writer = board.writer(1)
    row = writer.row()
    began = row.begin(b"GET /")
    row.handled_by(writer.number(INDEX))
    row.finish(began, 2)
    board.clear(1)
    fresh = Scoreboard.open(board.path, 1).writer(1)
    fresh.introduce(seat=1, generation=2, release="r2")
    row = fresh.row()
    row.finish(row.begin(b"GET /"), 2)

    found = by_handler(board.harvest(1).handled())

    assert {handler: sum(one.answers) for handler, one in found.items()} == {NOBODY: 1}


def test_a_slow_request_leaves_its_id(board: Scoreboard) -> None:
    """The last one that was not among the fastest; one without an id leaves none."""
    writer = board.writer(1)
    row = writer.row()
    for request_id in (b"5f0c", b"77aa", b""):
        row.begin(b"GET /", request_id)
        row.finish(time.monotonic_ns() - 30_000_000, 2)

    (found,) = board.harvest(1).handled()

    assert found.exemplar is not None
    assert found.exemplar.request_id == "77aa"
    assert found.exemplar.took_s >= 0.03


def test_counts_by_handler_survive_a_kill(board: Scoreboard) -> None:
    """SIGKILL takes nothing that was counted."""
    code = (
        "import sys, time\n"
        "from kirsch.scoreboard import Handler, Scoreboard\n"
        "writer = Scoreboard.open(sys.argv[1], 3).writer(3)\n"
        "writer.introduce(seat=1, generation=1, release='r')\n"
        "row = writer.row()\n"
        "for _ in range(5):\n"
        "    began = row.begin(b'GET /')\n"
        "    row.handled_by(writer.number(Handler('a', 'b', 'GET')))\n"
        "    row.finish(began, 2)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, board.path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)

    (found,) = board.harvest(3).handled()

    assert (found.handler, found.by_class()) == (Handler("a", "b", "GET"), (0, 5, 0, 0, 0))


def test_a_worker_maps_its_own_record_only(board: Scoreboard) -> None:
    """Other records cannot be reached from there: their octets are not in the process."""
    own = Scoreboard.open(board.path, 2)
    own.writer(2).enter_state("ready")

    assert board.read(2).state == "ready"
    for record in (1, 3):
        with pytest.raises(ValueError, match="not mapped"):
            own.read(record)


def test_health_checks_are_read_back(board: Scoreboard) -> None:
    """Whole; when there are too many, those that pass are left out first."""
    writer = board.writer(1)
    failing = CheckState("db", "failing", critical=True, duration_s=0.5, changed=7.0, message="no route")
    passing = [CheckState(f"p{number}", "passing", message="x" * 100) for number in range(60)]
    writer.show_checks([passing[0], failing])
    few = board.read(1).checks
    writer.show_checks([*passing, failing])
    many = board.read(1).checks

    assert few == (failing, passing[0])
    assert many[0] == failing
    assert 5 < len(many) < 61


def test_garbage_collections_are_read_back(board: Scoreboard) -> None:
    """By generation, with the heartbeat."""
    board.writer(1).beat(5, [1, 2, 3])

    assert board.read(1).collections == (1, 2, 3)


def test_a_file_of_many_workers_takes_little_memory(tmp_path: Path) -> None:
    """What is never written to is never there."""
    board = Scoreboard.create(str(tmp_path / "b"), 200, 16)
    board.totals()

    assert os.stat(board.path).st_blocks * 512 < os.stat(board.path).st_size / 10
    assert board._stride % layout.PAGE_WORDS == 0
