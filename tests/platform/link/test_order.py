"""Orders and reports survive their way through a file and a pipe."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from kirsch.link.frame import decode_frame, encode_frame
from kirsch.link.order import Limits, Order, Report, load_order, report_from
from kirsch.spec import App
from kirsch.spec.stack import dump_json


def make_order() -> Order:
    return Order(
        stack="shop",
        pool="web",
        seat=2,
        record=5,
        generation=3,
        release="r1",
        release_dir="/srv/releases/r1",
        shared_dir="/srv/shared",
        socket_dir="/run/k/workers",
        scoreboard="/run/k/web.board",
        apps=(App(name="shop", entry="shop.web:Root", config={"/": {"tools.gzip.on": True}}, env={"A": "1"}),),
        limits=Limits(body_bytes=2**40),
    )


def test_an_order_comes_back_from_its_file(tmp_path: Path) -> None:
    """All fields, nested tables included."""
    path = tmp_path / "order.json"
    path.write_bytes(dump_json(make_order()))

    assert load_order(path) == make_order()


def test_an_order_knows_its_names() -> None:
    """Name and socket follow from pool, seat and pid."""
    assert make_order().name == "web.2"
    assert make_order().socket_path(77) == "/run/k/workers/web.2.77.sock"


def test_a_broken_order_is_refused(tmp_path: Path) -> None:
    """An order of another version is an error, not a worker with defaults."""
    path = tmp_path / "order.json"
    path.write_bytes(b'{"stack": "shop"}')

    with pytest.raises(msgspec.ValidationError, match="pool"):
        load_order(path)


def test_a_report_comes_back_from_its_frame() -> None:
    """A traceback with every kind of character arrives whole."""
    report = Report(state="failed", step="import a:b", since=1.5, traceback='Trace\n  "ä" \x1b\n')

    assert report_from(decode_frame(encode_frame(report)[:-1])) == report


def test_a_report_with_an_unknown_state_is_refused() -> None:
    """States are a closed list."""
    with pytest.raises(msgspec.ValidationError):
        report_from({"state": "dancing"})
