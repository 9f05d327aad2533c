"""Exchanges that go on without a thread: counted, watched, told to leave, and brought back to the pool."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from cherrypy.httpd.away import Away, Deferred, Handover, Owner
from cherrypy.httpd.exchange import answering, ending
from cherrypy.httpd.message import Answer, Message
from cherrypy.httpd.sending import END, KEEP, RESET
from cherrypy.httpd.writer import Framing

from .conftest import Serve

WAIT_S = 5


class Patient(Owner):
    """Answers when a test says so, and notes what it is told."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.left = threading.Event()
        self.was_cut = threading.Event()
        self.client_went = threading.Event()
        self.away: Any = None

    def begin(self, away: Away) -> None:
        self.away = away
        self.begun.set()

    def gone(self) -> None:
        self.client_went.set()

    def leave(self) -> None:
        self.left.set()

    def cut(self) -> None:
        self.was_cut.set()

    def answer(self, text: bytes = b"late") -> None:
        """Let the server send *text*."""
        assert self.begun.wait(WAIT_S)
        self.away.come_back(answering(lambda message: (b"200 OK", [], [text], None)))


class Desk:
    """A responder: '/later' is deferred to the next owner, anything else is answered with its body at once."""

    def __init__(self, *owners: Owner) -> None:
        self.owners = list(owners)
        self.lock = threading.Lock()

    def __call__(self, message: Message) -> Answer:
        if message.path == "/later":
            with self.lock:
                raise Deferred(self.owners.pop(0))
        return b"200 OK", [], [b"now " + message.body.read()], None


def test_deferred_requests_hold_no_thread(serve: Serve) -> None:
    """One thread keeps many requests waiting, and answers others meanwhile."""
    owners = [Patient() for _ in range(20)]
    running = serve(Desk(*owners), threads=1)
    clients = [running.connect() for _ in owners]
    for client, owner in zip(clients, owners, strict=True):
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert owner.begun.wait(WAIT_S)
    with running.connect() as other:
        at_once = other.get().body
    in_flight = running.server.stats().in_flight
    for number, owner in enumerate(owners):
        owner.answer(b"%d" % number)
    answers = [client.reply().body for client in clients]

    assert at_once == b"now "
    assert in_flight == 20
    assert answers == [b"%d" % number for number in range(20)]
    assert running.server.stats().requests == 21
    for client in clients:
        client.sock.close()


def test_a_request_behind_a_deferred_one_waits_its_turn(serve: Serve) -> None:
    """Pipelined answers come in order, and the connection persists."""
    owner = Patient()
    running = serve(Desk(owner))
    with running.connect() as client:
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert owner.begun.wait(WAIT_S)
        client.send(b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n")
        owner.answer()
        bodies = [client.reply().body, client.reply().body, client.get().body]

    assert bodies == [b"late", b"now ", b"now "]


def test_a_request_in_the_same_turn_as_the_return_waits_for_its_answer(serve: Serve) -> None:
    """Both events come in one turn of the poll set, the return first; no answer takes the place of another."""
    owner = Patient()
    desk = Desk(owner)
    inside, release = threading.Event(), threading.Event()

    def respond(message: Message) -> Answer:
        if message.path == "/hold":
            inside.set()
            release.wait(WAIT_S)
        return desk(message)

    running = serve(respond, threads=1)
    with running.connect() as client, running.connect() as other:
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert owner.begun.wait(WAIT_S)
        other.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert inside.wait(WAIT_S)
        owner.answer()
        client.send(b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n")
        release.set()
        bodies = [client.reply().body, client.reply().body]

    assert bodies == [b"late", b"now "]


def test_the_owner_hears_that_its_client_has_gone(serve: Serve) -> None:
    """The connection is dropped once the owner has brought it back."""
    owner = Patient()
    running = serve(Desk(owner))
    with running.connect() as client:
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert owner.begun.wait(WAIT_S)
    heard = owner.client_went.wait(WAIT_S)
    closed = threading.Event()
    owner.away.come_back(ending(RESET, closed.set))

    assert heard
    assert closed.wait(WAIT_S)


def test_the_rest_of_a_large_body_stays_the_applications(serve: Serve) -> None:
    """A body that is still on the network is read by the answer, and the next request starts behind it."""
    owner = Patient()
    running = serve(Desk(owner), body_memory_bytes=0)
    size = 200_000
    with running.connect() as client:
        client.send(b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        assert owner.begun.wait(WAIT_S)
        client.send(b"x" * size)
        read: list[int] = []

        def respond(message: Message) -> Answer:
            read.append(len(message.body.read()))
            return b"200 OK", [], [b"read"], None

        owner.away.come_back(answering(respond))
        bodies = [client.reply().body, client.get().body]

    assert read == [size]
    assert bodies == [b"read", b"now "]


def test_a_stop_asks_to_leave_and_then_cuts(serve: Serve) -> None:
    """An owner has the stop's time; after it the server ends without it."""
    owner = Patient()
    running = serve(Desk(owner))
    with running.connect() as client:
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert owner.begun.wait(WAIT_S)
        finished = running.server.stop(0.05)
        running.thread.join(WAIT_S)
        closed = threading.Event()
        owner.away.come_back(ending(RESET, closed.set))
        insisted = owner.away.insist()

        assert not finished
        assert owner.left.is_set()
        assert owner.was_cut.is_set()
        assert insisted
        assert closed.is_set()
        assert client.is_closed()


def test_a_stop_waits_for_an_owner_that_leaves(serve: Serve) -> None:
    """What is answered in time is answered whole, as the last of its connection."""
    owner = Patient()
    running = serve(Desk(owner))
    with running.connect() as client:
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert owner.begun.wait(WAIT_S)
        stopped: list[bool] = []
        stopping = threading.Thread(target=lambda: stopped.append(running.server.stop(WAIT_S)))
        stopping.start()
        assert owner.left.wait(WAIT_S)
        owner.answer()
        reply = client.reply()
        stopping.join(WAIT_S)

    assert reply.body == b"late"
    assert reply.headers["connection"] == "close"
    assert stopped == [True]


def test_a_drain_asks_to_leave(serve: Serve) -> None:
    """Also those that come while it lasts."""
    owners = [Patient(), Patient()]
    running = serve(Desk(*owners))
    with running.connect() as first, running.connect() as second:
        first.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert owners[0].begun.wait(WAIT_S)
        running.server.drain(0)
        second.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")

        assert owners[0].left.wait(WAIT_S)
        assert owners[1].left.wait(WAIT_S)
        for owner in owners:
            owner.answer()
        assert first.reply().headers["connection"] == "close"
        assert second.reply().headers["connection"] == "close"


def test_a_busy_pool_cannot_hold_up_what_comes_back(serve: Serve) -> None:
    """The only thread waits for what the deferred request would do: whoever insists does it."""
    owner = Patient()
    released = threading.Event()
    entered = threading.Event()

    def respond(message: Message) -> Answer:
        if message.path == "/later":
            raise Deferred(owner)
        entered.set()
        return b"200 OK", [], [b"released" if released.wait(WAIT_S) else b"stuck"], None

    running = serve(respond, threads=1)

    def late(message: Message) -> Answer:
        released.set()
        return b"200 OK", [], [b"late"], None

    with running.connect() as waiting, running.connect() as blocked:
        waiting.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert owner.begun.wait(WAIT_S)
        blocked.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert entered.wait(WAIT_S)
        owner.away.come_back(answering(late))
        insisted = owner.away.insist()
        bodies = [waiting.reply().body, blocked.reply().body, waiting.get().body]

    assert insisted
    assert bodies == [b"late", b"released", b"released"]
    assert not owner.away.insist()


class Telegram(Handover):
    """A body that is sent by a thread of its own."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome

    def take(self, framing: Framing, close: Callable[[], object] | None) -> Owner:
        body = self

        class Sender(Owner):
            reads = True

            def begin(self, away: Away) -> None:
                def send() -> None:
                    away.connection.send_all(framing[0] + b"4\r\nwire\r\n0\r\n\r\n")
                    away.come_back(ending(body.outcome, close, 4))

                threading.Thread(target=send).start()

        return Sender()


def test_a_body_may_send_itself(serve: Serve) -> None:
    """The server frames the head; the answer's close is called once, and the connection goes on."""
    closed: list[str] = []

    def respond(message: Message) -> Answer:
        outcome = KEEP if message.path == "/keep" else END
        return b"200 OK", [], Telegram(outcome), lambda: closed.append(outcome)  # type: ignore[return-value]

    running = serve(respond)
    with running.connect() as client:
        bodies = [client.get("/keep").body, client.get("/keep").body, client.get("/end").body]

        assert client.is_closed()
    assert bodies == [b"wire"] * 3
    assert closed == [KEEP, KEEP, END]


def test_what_follows_a_large_body_is_not_lost(serve: Serve) -> None:
    """A request that came in one segment with the end of a body which was read elsewhere is answered."""
    owner = Patient()
    running = serve(Desk(owner), body_memory_bytes=0)
    size = 200_000
    with running.connect() as client:
        client.send(b"POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        assert owner.begun.wait(WAIT_S)
        client.send(b"x" * size + b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n")
        read = len(owner.away.message.body.read())
        owner.answer()
        bodies = [client.reply().body, client.reply().body]

    assert read == size
    assert bodies == [b"late", b"now "]


def test_who_had_the_socket_alone_gives_it_back(serve: Serve) -> None:
    """The poll set watches the connection again: its next request is answered, and its end is noticed."""
    owner = Patient()
    owner.reads = True
    running = serve(Desk(owner))
    with running.connect() as client:
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        owner.answer()
        bodies = [client.reply().body, client.get().body]

    assert bodies == [b"late", b"now "]
    assert running.server.drain(WAIT_S)


def test_an_error_in_counting_costs_nobody_his_answer(serve: Serve) -> None:
    """It is logged; the connection goes on."""
    owner = Patient()
    desk = Desk(owner)

    def respond(message: Message) -> Answer:
        try:
            return desk(message)
        except Deferred as deferred:
            deferred.when_over = lambda status_class: 1 // 0
            raise

    running = serve(respond)
    with running.connect() as client:
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        owner.answer()
        bodies = [client.reply().body, client.get().body]

    assert bodies == [b"late", b"now "]


def test_who_counts_answers_hears_of_late_ones(serve: Serve) -> None:
    """Once, with the class of the status, when the whole answer is out; an exchange without one counts as a failure."""
    told: list[int] = []

    class Counted(Desk):
        def __call__(self, message: Message) -> Answer:
            try:
                return super().__call__(message)
            except Deferred as deferred:
                deferred.when_over = told.append
                raise

    owners = [Patient(), Patient(), Patient()]
    running = serve(Counted(*owners))
    with running.connect() as client:
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        owners[0].answer()
        client.reply()
        assert owners[1].begun.wait(WAIT_S)
        body: list[bytes] = Telegram(KEEP)  # type: ignore[assignment]
        owners[1].away.come_back(answering(lambda message: (b"301 Moved", [], body, None)))
        client.reply()
        assert owners[2].begun.wait(WAIT_S)
        owners[2].away.come_back(ending(RESET, None))

        assert client.is_closed()
    assert running.server.drain(WAIT_S)
    assert told == [2, 3, 5]
