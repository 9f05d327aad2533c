"""Failed requests, kept."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from kirsch.link.order import Order
from kirsch.observe.captures import SLOT_BYTES, SLOTS, load_captures, redact_target
from kirsch.worker.capturing import Captures


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """Of a worker that keeps two of each handler, and ten octets of bodies."""
    words: dict[str, Any] = dict.fromkeys(("release", "release_dir", "shared_dir", "scoreboard"), "x")
    return Order(
        stack="s", pool="web", seat=1, record=1, generation=3, apps=(), socket_dir=str(tmp_path), capture=2,
        capture_body_bytes=10, **words,
    )  # fmt: skip


def keep(
    captures: Captures, number: int, handler: str = "Root.boom", body: bytes | None = None, **headers: str
) -> None:
    """Keep the request with that number."""
    captures.keep(
        request=(f"id{number}", handler), method="POST", target="/boom?api_key=x&q=1", headers=headers.items(),
        status=500, began_ns=0, body=body,
    )  # fmt: skip


def test_the_last_of_each_handler_are_kept(order: Order) -> None:
    """In a file that only its owner may read."""
    now = iter(range(100))
    captures = Captures(order, lambda found: f"ValueError: {found}", clock=lambda: float(next(now)))
    for number in range(5):
        keep(captures, number)
    keep(captures, 9, "Root.other")
    found = load_captures(order.socket_dir)

    assert [one.id for one in found] == ["id9", "id4", "id3"]
    assert found[1].exception == "ValueError: id4"
    assert stat.S_IMODE(os.stat(captures.path).st_mode) == 0o600


def test_secrets_are_not_kept(order: Order) -> None:
    """Neither in header fields nor in parameters; bodies are cut."""
    keep(
        Captures(order),
        1,
        body=b"x" * 11,
        **{"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "k", "Accept": "y"},
    )
    found = load_captures(order.socket_dir)[0]

    assert dict(found.headers) == {"Authorization": "***", "Cookie": "***", "X-Api-Key": "***", "Accept": "y"}
    assert found.target == "/boom?api_key=***&q=1"
    assert (found.body, found.body_is_cut) == (b"x" * 10, True)
    assert redact_target("/plain") == "/plain"


def test_the_file_is_bounded(order: Order) -> None:
    """However many handlers there are; a storm of one is not written request by request."""
    now = iter(range(10000))
    captures = Captures(order, clock=lambda: float(next(now)))
    for number in range(3 * SLOTS):
        keep(captures, number, f"Root.page{number}")

    assert os.path.getsize(captures.path) == SLOTS * SLOT_BYTES
    assert len(load_captures(order.socket_dir)) == SLOTS

    calm = Captures(order, clock=lambda: 5.0)
    keep(calm, 1)
    keep(calm, 2)

    assert [one.id for one in load_captures(order.socket_dir)] == ["id1"]
