"""Log records of a worker: the id of their request, in both forms."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from kirsch.link.order import Order
from kirsch.scoreboard import Scoreboard, Writer
from kirsch.worker.records import JSONForm, NamedRequests, Records, TextForm, request_id


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """The pen of one worker."""
    path = str(tmp_path / "web.board")
    return Scoreboard.create(path, records=1, rows=4).writer(1)


@pytest.fixture
def records(writer: Writer) -> Records:
    """What makes records, not installed."""
    words: dict[str, Any] = dict.fromkeys(("release", "release_dir", "shared_dir", "socket_dir", "scoreboard"), "x")
    order = Order(stack="s", pool="web", seat=1, record=1, generation=1, apps=(), **words)
    return Records(order, writer)


def make(records: Records, message: str = "hello", error: BaseException | None = None) -> logging.LogRecord:
    """A record as a logger would have it made."""
    info = (type(error), error, None) if error is not None else None
    return records.make("shop", logging.INFO, "shop.py", 1, message, (), info)


def test_a_record_has_the_id_of_what_its_thread_is_inside_of(records: Records, writer: Writer) -> None:
    """Not after it, not in other threads."""
    row = writer.mine.row
    began = row.begin(b"GET /", b"a1")
    inside = make(records)
    other: list[logging.LogRecord] = []
    thread = threading.Thread(target=lambda: other.append(make(records)))
    thread.start()
    thread.join()
    row.finish(began, 2)

    assert inside.request_id == "a1"  # type: ignore[attr-defined]
    assert other[0].request_id == ""  # type: ignore[attr-defined]
    assert make(records).request_id == ""  # type: ignore[attr-defined]


def test_asgi_applications_carry_the_id_through_their_tasks(records: Records) -> None:
    """By a context variable, which tasks and threads of theirs inherit."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await asyncio.to_thread(records.current_id))

    asyncio.run(NamedRequests(app)({"headers": [(b"x-request-id", b"b2")]}, None, None))

    assert seen == ["b2"]
    assert request_id.get() == ""


def test_the_last_exception_of_a_request_is_remembered(records: Records, writer: Writer) -> None:
    """Its first line."""
    writer.mine.row.begin(b"GET /", b"a1")
    make(records, error=ValueError("no jam\nat all"))

    assert records.fault_of("a1") == "ValueError: no jam"
    assert records.fault_of("b2") == ""


def test_both_forms_show_the_id(records: Records, writer: Writer) -> None:
    """A line for people, an object for programs, with what was given as extra."""
    writer.mine.row.begin(b"GET /", b"a1")
    record = make(records)
    record.order = 7
    entry = json.loads(JSONForm("web.1").format(record))

    assert TextForm().format(record).endswith("INFO shop [a1] hello")
    assert (entry["request_id"], entry["worker"], entry["message"], entry["order"]) == ("a1", "web.1", "hello", 7)


def test_cherrypys_own_time_is_not_shown_twice(records: Records) -> None:
    """The record has it."""
    record = records.make("cherrypy.error", logging.INFO, "x", 1, "[21/Nov/2026:03:12:07] ENGINE Bus STARTED", (), None)

    assert TextForm().format(record).endswith("Z INFO cherrypy.error ENGINE Bus STARTED")
