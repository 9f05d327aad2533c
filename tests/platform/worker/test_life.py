"""A worker process by itself, with each engine: started by hand, heard through its pipe, ended by a signal."""

from __future__ import annotations

import functools
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kirsch.link.order import LEAVE_SIGNAL, SHED_SIGNAL, Limits
from kirsch.spec import App

#: Engines that keep connections; uWSGI's answers are all the last: test_uwsgi.py.
KEEPING = ["native", "gunicorn"]


@pytest.fixture(params=[*KEEPING, "uwsgi"])
def engine(request: pytest.FixtureRequest) -> str:
    """Every test of this file is what a supervisor relies on, whichever engine it is."""
    return str(request.param)


@pytest.fixture
def start(start_worker: Callable[..., Any], engine: str) -> Any:
    return functools.partial(start_worker, engine=engine)


def test_it_serves_when_it_says_so(start: Any, folder: str) -> None:
    """Own socket with a tight mode, applications beside each other, the bus started, the record on the scoreboard."""
    worker = start(
        App(name="shop", entry="shop_under_test:Root"), App(name="old", entry="shop_under_test:wsgi", mount="/old")
    )
    report = worker.wait_until("ready", "failed")

    assert report["socket"] == f"{folder}/web.1.{worker.process.pid}.sock"
    assert os.stat(report["socket"]).st_mode & 0o177 == 0
    assert worker.get(report["socket"], "/").endswith(folder.encode())
    assert worker.fetch(report["socket"], "/old/a%20b%2Fc").body == b"/old|/a b%2Fc"
    assert worker.get(report["socket"], "/readyz").startswith(b"HTTP/1.1 200")
    assert worker.board.read(1).state == "ready"
    assert worker.board.read(1).pid == worker.process.pid
    assert worker.board.read(1).counters.finished == 2


def test_it_believes_the_proxy_in_front(start: Any) -> None:
    """Nginx is the only one who reaches the socket."""
    worker = start()
    path = worker.ready()
    extra = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"

    assert worker.get(path, "/base", extra).endswith(b"https://shop.example 192.0.2.7")


def test_sigterm_drains(start: Any) -> None:
    """What runs is finished, readiness says no, newcomers are answered; then it leaves with 0, its socket too."""
    worker = start()
    path = worker.ready()
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(worker.get(path, "/sleep?s=1")))
    thread.start()
    worker.wait_until_inside()
    worker.process.send_signal(signal.SIGTERM)
    worker.wait_until("draining")
    not_ready = worker.get(path, "/readyz")
    late = worker.get(path, "/")
    thread.join()

    assert not_ready.startswith(b"HTTP/1.1 503")
    assert late.startswith(b"HTTP/1.1 200")
    assert answers[0].endswith(b"slept")
    assert worker.wait_until("stopped")
    assert worker.process.wait(10) == 0
    assert not os.path.exists(path)
    assert worker.board.read(1).counters.in_flight == 0


def test_a_connection_that_waits_to_be_accepted_is_answered(start: Any) -> None:
    """Nginx made it before its link was moved: all threads are busy, then the worker is told to go."""
    worker = start(threads=1)
    path = worker.ready()
    busy = threading.Thread(target=worker.get, args=(path, "/sleep?s=0.6"))
    busy.start()
    worker.wait_until_inside()
    answers: list[bytes] = []
    waiting = threading.Thread(target=lambda: answers.append(worker.get(path, "/base")))
    with worker.connect(path) as line:
        line.sendall(b"GET /sleep?s=0 HTTP/1.1\r\nHost: h\r\n\r\n")
        waiting.start()
        worker.process.send_signal(signal.SIGTERM)
        busy.join()
        waiting.join()

        assert line.recv(65536).startswith(b"HTTP/1.1 200")
    assert answers[0].startswith(b"HTTP/1.1 200")
    assert worker.process.wait(10) == 0


@pytest.mark.parametrize("engine", KEEPING, indirect=True)
def test_a_kept_connection_is_told_that_its_answer_is_the_last(start: Any) -> None:
    """It is not closed before, however long it was idle: its other end may be writing a request into it."""
    worker = start()
    path = worker.ready()
    with worker.connect(path) as kept:
        first = worker.ask(kept)
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_until("draining")
        kept.settimeout(2.5)  # gunicorn's own patience with idle connections ends after 2 s
        with pytest.raises(TimeoutError):
            kept.recv(1)
        last = worker.ask(kept)

        assert kept.recv(1) == b""
    assert not first.is_last
    assert last.status == 200
    assert last.is_last
    assert worker.process.wait(10) == 0


def test_draining_has_an_end(start: Any) -> None:
    """A request that outlasts drain_s is left behind."""
    worker = start(limits=Limits(drain_s=0.5))
    path = worker.ready()
    line = worker.connect(path)
    line.sendall(b"GET /sleep?s=60 HTTP/1.1\r\nHost: h\r\n\r\n")
    worker.wait_until_inside()
    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(15) == 0

    line.close()


@pytest.mark.parametrize("engine", KEEPING, indirect=True)
def test_it_sheds_what_it_has_when_told_to(start: Any) -> None:
    """A connection that was open ends with its next answer, and is not closed before; a new one is kept."""
    worker = start()
    path = worker.ready()
    with worker.connect(path) as early:
        answers = [worker.ask(early)]
        worker.process.send_signal(SHED_SIGNAL)
        while not answers[-1].is_last:
            answers.append(worker.ask(early))
        with worker.connect(path) as late:
            kept = [worker.ask(late) for _ in range(2)]

        assert early.recv(1) == b""
    assert {answer.status for answer in answers + kept} == {200}
    assert not [answer for answer in kept if answer.is_last]


def test_streams_are_told_when_nobody_new_will_come(start: Any) -> None:
    """On the bus, as when it drains; it stays ready and answers."""
    worker = start()
    path = worker.ready()
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(worker.get(path, "/until_told")))
    thread.start()
    worker.wait_until_inside()
    worker.process.send_signal(LEAVE_SIGNAL)
    thread.join()

    assert answers[0].endswith(b"told")
    assert not answers[0].endswith(b"never told")
    assert worker.get(path, "/readyz").startswith(b"HTTP/1.1 200")
    assert worker.end() == 0


def test_an_import_error_is_told_whole(start: Any, folder: str) -> None:
    """Step, one line, the application's part of the traceback, status 3; the whole in the log."""
    Path(folder, "bad_under_test.py").write_text("value = 1\nimport nothing_at_all_here\n")
    worker = start(App(name="a", entry="bad_under_test:x"))
    report = worker.wait_until("ready", "failed")

    assert report["state"] == "failed"
    assert report["step"] == "import bad_under_test:x"
    assert report["message"] == "ModuleNotFoundError: No module named 'nothing_at_all_here'"
    assert report["traceback"].splitlines()[1].endswith('bad_under_test.py", line 2, in <module>')
    assert "importlib" not in report["traceback"]
    assert worker.process.wait(10) == 3
    assert b"<frozen importlib" in worker.process.stderr.read()
    assert worker.board.read(1).state == "failed"
    assert not [name for name in os.listdir(folder) if name.endswith(".sock")]


def test_it_outlives_whoever_listened(start: Any) -> None:
    """A closed report pipe is no reason to stop, nor to fail when it drains."""
    worker = start()
    path = worker.ready()
    worker.reports.close()

    assert worker.get(path, "/").startswith(b"HTTP/1.1 200")

    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(10) == 0


def test_a_server_that_stops_by_itself_is_a_failure(start: Any) -> None:
    """An application that ends the bus ends the worker with a status that says so, and its parent replaces it."""
    worker = start()
    path = worker.ready()
    worker.get(path, "/stop")

    assert worker.wait_until("failed")["step"] == "serve"
    assert worker.process.wait(10) == 3


def test_threads_of_the_application_do_not_hold_it(start: Any, folder: str) -> None:
    """A thread that never ends is left behind."""
    Path(folder, "clingy_under_test.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n"
    )
    worker = start(App(name="a", entry="clingy_under_test:app"))
    worker.wait_until("ready", "failed")
    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(15) == 0


def test_what_it_is_inside_of_is_named(start: Any) -> None:
    """Handler, thread and request id, as soon as it runs."""
    worker = start()
    path = worker.ready()
    with worker.connect(path) as line:
        line.sendall(b"GET /sleep?s=20 HTTP/1.1\r\nHost: h\r\nX-Request-ID: 5f0c\r\n\r\n")
        worker.wait_until_inside()
        deadline = time.monotonic() + 0.2  # the witness does not look at anything younger
        while not (inside := worker.board.read(1).running[0]).handler and time.monotonic() < deadline:
            time.sleep(0.001)

    assert inside.handler.endswith("/shop_under_test.py: Root.sleep")
    assert (inside.line, inside.request_id, inside.phase) == ("GET /sleep", "5f0c", "handler")
    assert os.path.isdir(f"/proc/{worker.process.pid}/task/{inside.thread}")


def test_it_warms_up_before_it_serves(start: Any) -> None:
    """Its own first requests, as a visitor's; readiness says no meanwhile."""
    app = App(name="shop", entry="shop_under_test:Root", mount="/shop", warm_up=("/sleep?s=0.5", "/base", "/nowhere"))
    worker = start(app, public_host="shop.example")
    steps = [worker.wait_until("warming") for _ in range(2)]
    early = worker.fetch(worker.order.socket_path(worker.process.pid), "/readyz")
    steps += [worker.wait_until("warming") for _ in range(2)]
    path = worker.ready()
    while worker.board.read(1).counters.in_flight:
        time.sleep(0.01)

    assert [step.get("step") for step in steps[1:]] == ["GET /shop/sleep?s=0.5", "GET /shop/base", "GET /shop/nowhere"]
    assert (early.status, json.loads(early.body)["state"]) == (503, "warming")
    assert worker.board.read(1).counters.by_class() == (0, 2, 0, 1, 0)
    assert worker.fetch(path, "/readyz").status == 200


def test_a_page_that_fails_while_it_warms_up_fails_the_boot(start: Any) -> None:
    """No visitor is the first to see it."""
    worker = start(App(name="shop", entry="shop_under_test:Root", warm_up=("/sleep?s=x",)))
    report = worker.wait_until("ready", "failed")

    assert (report["state"], report["step"]) == ("failed", "GET /sleep?s=x")
    assert report["message"] == "SuperviseError: app shop: GET /sleep?s=x answers 500"
    assert worker.process.wait(10) == 3
    assert not os.path.exists(worker.order.socket_path(worker.process.pid))


def test_an_isolated_app_may_fail_to_warm_up(start: Any) -> None:
    """It is noted; the others serve."""
    cold = App(name="cold", entry="shop_under_test:Root", mount="/cold", warm_up=("/sleep?s=x", "/"), isolate=True)
    worker = start(App(name="shop", entry="shop_under_test:Root"), cold)
    path = worker.ready()

    assert worker.board.read(1).note == "app cold is broken: GET /cold/sleep?s=x answers 500"
    assert worker.fetch(path, "/").status == 200


def test_a_stream_ends_when_its_client_has_gone(start: Any) -> None:
    """It is not sent to nobody for ever, and nothing stays in flight."""
    worker = start(App(name="old", entry="shop_under_test:wsgi"))
    path = worker.ready()
    with worker.connect(path) as line:
        line.sendall(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        line.recv(2000)
        inside = worker.board.read(1).counters.in_flight
    deadline = time.monotonic() + 10
    while (left := worker.board.read(1).counters.in_flight) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert (inside, left) == (1, 0)
    assert worker.end() == 0


def test_what_a_page_starts_does_not_keep_its_connection(start: Any) -> None:
    """A program of the shell inherits what is not closed on exec: the client would wait for its end."""
    worker = start(App(name="old", entry="shop_under_test:wsgi"))
    began = time.monotonic()
    answer = worker.get(worker.ready(), "/spawn")

    assert answer.startswith(b"HTTP/1.1 200")
    assert time.monotonic() - began < 10
