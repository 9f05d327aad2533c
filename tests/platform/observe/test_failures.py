"""The last failures: read when there are new ones, shown as text."""

from __future__ import annotations

from pathlib import Path

from kirsch.observe.captures import SUFFIX, Capture, encode_slot
from kirsch.observe.failures import EVERY_S, SHOWN, Failures
from kirsch.observe.page_failures import render_failures
from kirsch.observe.view import StackView


def capture(number: int, text: str = "ValueError: no such jam") -> Capture:
    return Capture(
        id=f"id{number}", at=1000.0 + number, worker="web.1", release="r1", generation=1, method="GET", target="/jam",
        headers=[], status=500, duration_s=0.25, handler="Root.jam", exception=text,
    )  # fmt: skip


def keep(folder: Path, name: str, *found: Capture) -> None:
    (folder / f"{name}{SUFFIX}").write_bytes(b"".join(encode_slot(one) or b"" for one in found))


def test_the_newest_are_shown_first(tmp_path: Path) -> None:
    """Of all workers, a dozen."""
    keep(tmp_path, "web.1.7", *map(capture, range(0, 40, 2)))
    keep(tmp_path, "web.2.8", *map(capture, range(1, 40, 2)))
    found = Failures(str(tmp_path)).last()

    assert [one.id for one in found] == [f"id{number}" for number in range(39, 39 - SHOWN, -1)]


def test_files_are_read_when_they_changed_and_not_too_often(tmp_path: Path) -> None:
    """A storm of failures costs no more than a look every other second."""
    now = [0.0]
    failures = Failures(str(tmp_path), lambda: now[0])
    empty = failures.last()
    keep(tmp_path, "web.1.7", capture(1))
    early = failures.last()
    now[0] += EVERY_S
    late = failures.last()

    assert (empty, early) == ((), ())
    assert [one.id for one in late] == ["id1"]


def test_they_are_text() -> None:
    """Whatever was raised, and whatever was asked for."""
    view = StackView(stack="shop", release="r1", generation=1, pid=1, started=0.0, pools=())
    html = render_failures(
        StackView(
            stack="shop", release="r1", generation=1, pid=1, started=0.0, pools=(), failures=(capture(1, "<b>jam</b>"),)
        )
    )

    assert "&lt;b&gt;jam&lt;/b&gt;" in html
    assert "250 ms" in html
    assert "id1" in html
    assert "No request has failed." in render_failures(view)
