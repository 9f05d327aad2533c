"""Between server and applications: health first, every request counted."""

from __future__ import annotations

import json
import math
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

import cherrypy
from kirsch.scoreboard import CheckState, Scoreboard
from kirsch.worker.account import Account
from kirsch.worker.voice import Voice
from kirsch.worker.waiting import measure_wait


@pytest.fixture
def board(voice: Voice) -> Scoreboard:
    return Scoreboard.open(voice.order.scoreboard)


def message(path: str = "/", method: str = "GET", *headers: tuple[bytes, bytes]) -> Any:
    return SimpleNamespace(path=path, target=path, method=method, headers=list(headers), entering=lambda key: None)


def test_a_whole_answer_is_counted_when_it_is_there(board: Scoreboard, voice: Voice) -> None:
    """Passed on as it is, and in its class."""
    answer = (b"404 Not Found", [], [b"x"], None)
    account = Account(lambda message: answer, voice)

    assert account(message()) is answer
    assert board.read(1).counters.by_class() == (0, 0, 0, 1, 0)


def test_how_long_a_request_waited_is_measured_now_and_then(board: Scoreboard, voice: Voice) -> None:
    """By nginx's time of passing it on; the next one of the thread, a moment later, is not."""
    account = Account(lambda message: (b"200 OK", [], [b"x"], None), voice)
    voice.writer.mine.row.next_look = 0
    started = f"t={math.floor(1000 * time.time()) / 1000 - 2:.3f}".encode()  # nginx cuts, and never says a later moment
    for _ in range(2):
        account(message("/", "GET", (b"Host", b"x"), (b"X-Request-Start", started)))
        voice.writer.mine.row.next_look += 3600 * 10**9
    counters = board.read(1).counters

    assert counters.waits == 1
    assert 2.0 <= counters.waited_s < 3.0


@pytest.mark.parametrize("text", ["", "t=", "yesterday", "t=99999999999", "t=1", "t=nan"])
def test_what_is_no_moment_is_no_wait(text: str) -> None:
    """A field of a stranger's, a clock that was set."""
    assert measure_wait(text) is None


def test_a_stream_is_counted_when_it_is_closed(board: Scoreboard, voice: Voice) -> None:
    """In flight until then; its own close is called."""
    closed = []
    answer = (b"200 OK", [], iter([b"x"]), lambda: closed.append(1))
    _, _, _, close = Account(lambda message: answer, voice)(message())

    assert board.read(1).counters.in_flight == 1

    close()

    assert closed == [1]
    assert board.read(1).counters.in_flight == 0
    assert board.read(1).counters.by_class()[1] == 1


def test_a_stream_without_close_is_counted_too(board: Scoreboard, voice: Voice) -> None:
    """A server closes every answer that has a close, so it gets one."""
    account = Account(lambda message: (b"200 OK", [], iter(()), None), voice)
    account(message())[3]()

    assert board.read(1).counters.finished == 1


def test_an_error_out_of_the_responder_counts_as_a_server_error(board: Scoreboard, voice: Voice) -> None:
    """And goes on to the server."""

    def respond(message: Any) -> Any:
        raise RuntimeError

    account = Account(respond, voice)
    with pytest.raises(RuntimeError):
        account(message())

    assert board.read(1).counters.by_class()[4] == 1
    assert board.read(1).running == ()


def test_a_page_that_answers_later_is_counted_then(board: Scoreboard, voice: Voice) -> None:
    """In flight until then; its deferral is no error."""

    class Deferral(Exception):
        is_deferral = True
        when_over: Any = None

    deferral = Deferral()

    def respond(message: Any) -> Any:
        raise deferral

    account = Account(respond, voice)
    with pytest.raises(Deferral):
        account(message())
    before = board.read(1).counters
    deferral.when_over(3)
    after = board.read(1).counters

    assert (before.in_flight, before.finished) == (1, 0)
    assert (after.in_flight, after.finished) == (0, 1)
    assert after.by_class() == (0, 0, 1, 0, 0)


def test_what_runs_is_named_while_it_runs(board: Scoreboard, voice: Voice) -> None:
    """Method and path, whatever octets the path has."""
    seen = []

    def respond(message: Any) -> Any:
        seen.extend(board.read(1).running)
        return b"200 OK", [], [], None

    Account(respond, voice)(message("/a\xe4\u2028b", "PUT"))

    assert [one.line for one in seen] == ["PUT /a\xe4?b"]


@pytest.mark.parametrize(
    ("path", "state", "status"),
    [
        ("/livez", "ready", b"200 OK"),
        ("/livez", "draining", b"200 OK"),
        ("/readyz", "ready", b"200 OK"),
        ("/readyz", "booting", b"503 Service Unavailable"),
        ("/readyz", "draining", b"503 Service Unavailable"),
        ("/startupz", "draining", b"200 OK"),
        ("/startupz", "ready", b"200 OK"),
        ("/startupz", "warming", b"503 Service Unavailable"),
    ],
)
def test_health_is_answered_before_the_application(
    board: Scoreboard, voice: Voice, path: str, state: Any, status: bytes
) -> None:
    """Neither asked of the application nor counted."""
    voice.state = state
    account = Account(lambda message: pytest.fail("asked the application"), voice)

    assert account(message(path))[0] == status
    assert board.read(1).counters.begun == 0


def test_handler_and_request_id_are_told_while_it_runs(board: Scoreboard, voice: Voice) -> None:
    """The page as the framework announces it, which the server hears too; the id wherever it stands in the head."""
    seen: list[Any] = []
    heard: list[Any] = []

    def page() -> None: ...

    def respond(message: Any) -> Any:
        message.entering(page.__code__)
        seen.extend(board.read(1).running)
        return b"200 OK", [], [], None

    account = Account(respond, voice)
    for headers in ([(b"Host", b"h"), (b"X-Request-ID", b"first")], [(b"X-Request-ID", b"second")], []):
        asked = message("/", "GET", *headers)
        asked.entering = heard.append
        account(asked)

    name = "worker/test_account.py: test_handler_and_request_id_are_told_while_it_runs.<locals>.page"
    assert [one.handler for one in seen] == [name] * 3
    assert [one.request_id for one in seen] == ["first", "second", ""]
    assert heard == [page.__code__] * 3
    assert {one.thread for one in seen} == {threading.get_native_id()}


def test_a_handler_is_its_own_requests_only(board: Scoreboard, voice: Voice) -> None:
    """One that was not announced has none, whatever ran before on the thread."""
    seen: list[Any] = []

    def respond(message: Any) -> Any:
        if message.path == "/one":
            message.entering(int)
        seen.extend(board.read(1).running)
        return b"200 OK", [], [], None

    account = Account(respond, voice)
    account(message("/one"))
    account(message("/two"))

    assert [(one.line, one.handler) for one in seen] == [("GET /one", "int"), ("GET /two", "")]


@pytest.mark.parametrize(
    ("check", "health", "ready", "live"),
    [
        (CheckState("db", "failing", critical=True, message="no route"), "failing", b"503", b"200"),
        (CheckState("db", "failing"), "degraded", b"200", b"200"),
        (CheckState("db", "passing", critical=True), "passing", b"200", b"200"),
    ],
)
def test_readiness_is_what_critical_checks_say(
    voice: Voice, check: CheckState, health: str, ready: bytes, live: bytes
) -> None:
    """One that is not critical degrades; a worker whose database is away still lives."""
    voice.checks = (check,)
    account = Account(lambda message: pytest.fail("asked the application"), voice)
    status, _, (body,), _ = account(message("/readyz"))
    said = json.loads(body)

    assert (status[:3], said["health"]) == (ready, health)
    assert said["checks"][0]["message"] == check.message
    assert account(message("/livez"))[0][:3] == live


def page() -> None:
    """Announced as a page is."""


def test_a_page_is_counted_by_name_and_method(board: Scoreboard, voice: Voice) -> None:
    """With the octets of its answer, its method, and in which class; other methods than HTTP's are one."""

    def respond(message: Any) -> Any:
        message.entering(page.__code__)
        return b"200 OK", [], [b"four", b"five5"], None

    account = Account(respond, voice)
    for method in ("GET", "GET", "POST", "BREW", "MOO"):
        account(message("/any", method))
    found = {one.handler: one for one in board.harvest(1).handled()}
    names = {(handler.name, handler.method): sum(one.answers) for handler, one in found.items()}

    assert names == {("page", "GET"): 2, ("page", "POST"): 1, ("page", "other"): 2}
    assert {one.body_bytes for one in found.values()} == {9, 18}


def test_what_no_page_answers_is_one_handler(board: Scoreboard, voice: Voice) -> None:
    """However many paths are asked for, and whether the framework says so itself or nobody does."""

    def respond(message: Any) -> Any:
        if "x" in message.path:
            message.entering(cherrypy.NotFound)
        return b"404 Not Found", [], [], None

    account = Account(respond, voice)
    for number in range(100):
        account(message(f"/.env{number}"))
        account(message(f"/x{number}"))
    (found,) = board.harvest(1).handled()

    assert (found.handler.name, found.handler.app) == ("(none)", "")
    assert found.by_class()[3] == 200


def test_a_stream_is_counted_for_its_page(board: Scoreboard, voice: Voice) -> None:
    """With what it said of its length, though other requests of the thread came between."""

    def respond(message: Any) -> Any:
        if message.path == "/stream":
            message.entering(page.__code__)
            return b"200 OK", [(b"Content-Length", b"700")], iter([b"x"]), None
        return b"404 Not Found", [], [b""], None

    account = Account(respond, voice)
    close = account(message("/stream"))[3]
    account(message("/other"))
    close()
    found = {one.handler.name: one for one in board.harvest(1).handled()}

    assert (sum(found["page"].answers), found["page"].body_bytes) == (1, 700)
