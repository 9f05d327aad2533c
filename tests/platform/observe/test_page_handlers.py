"""Handlers and health checks on the status page."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.observe.page_handlers import SHOWN, render_failing, render_health, render_slowest
from kirsch.observe.view import PoolView, StackView, WorkerView
from kirsch.scoreboard import BOUNDS_S, CheckState, Handled, Handler

BUCKETS = len(BOUNDS_S) + 1


def handled(name: str, bucket: int = 0, good: int = 0, bad: int = 0) -> Handled:
    """So many good and bad answers of a handler, all in one bucket of durations."""
    answers = [0] * (5 * BUCKETS)
    answers[BUCKETS + bucket], answers[4 * BUCKETS + bucket] = good, bad
    return Handled(Handler("shop", name, "GET", f"shop/web.py: {name}"), 2.0, 0, tuple(answers))


def view(*found: Handled, checks: dict[str, list[CheckState]] | None = None) -> StackView:
    workers = tuple(WorkerView(name=name, state="ready", checks=tuple(one)) for name, one in (checks or {}).items())
    pool = PoolView(name="web", engine="native", slots=1, workers=workers, handled=found)
    return StackView(stack="shop", release="r1", generation=1, pid=1, started=0.0, pools=(pool,))


def test_the_slowest_come_first() -> None:
    """By p99; those who were never asked are none, and the table has an end."""
    html = render_slowest(view(handled("Root.quick", 0, 10), handled("Root.slow", 9, 10), handled("Root.never")))
    many = render_slowest(view(*[handled(f"Root.p{number}", 1, 5) for number in range(50)]))

    assert html.index("GET Root.slow") < html.index("GET Root.quick")
    assert "Root.never" not in html
    assert "shop · shop/web.py: Root.slow" in html
    assert "200 ms" in html  # the mean
    assert many.count("<tr>") == SHOWN + 1


def test_a_page_is_one_line_whatever_the_release() -> None:
    """What it did before a roll counts as well; the code is where this release has it."""
    old, new = handled("Root.jam", 0, 10, 2), handled("Root.jam", 0, 30, 4)
    named = [
        Handled(Handler("shop", "Root.jam", "GET", f"{release}/shop.py: Root.jam"), 2.0, 0, one.answers)
        for release, one in (("r0", old), ("r1", new))
    ]
    html, other = render_failing(view(*named)), render_slowest(view(*reversed(named)))

    for said in (html, other):
        assert said.count("GET Root.jam") == 1
        assert "shop · shop.py: Root.jam" in said
        assert ">46<" in said
    assert "13 %" in html
    assert ">87 ms<" in other


def test_the_failing_come_by_their_share() -> None:
    """Three of four are worse than ten of a thousand."""
    found = [handled("Root.often", 0, 990, 10), handled("Root.bad", 0, 1, 3), handled("Root.good", 0, 7)]
    html = render_failing(view(*found))

    assert html.index("Root.bad") < html.index("Root.often")
    assert "75 %" in html
    assert "1.0 %" in html
    assert "Root.good" not in html
    assert "None has failed." in render_failing(view(handled("Root.good", 0, 7)))


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (["passing", "passing"], ["passing</span>", "not critical"]),
        (["passing", "failing"], ["failing</span>", "1 of 2 workers: web.2", "no &lt;route&gt;"]),
        (["pending", "passing"], ["pending</span>", "1 of 2 workers: web.1"]),
    ],
)
def test_a_check_is_as_well_as_its_worst_worker(states: list[str], words: list[str]) -> None:
    """Which workers, and what it says, as text."""
    checks = {
        f"web.{number}": [CheckState("db", state, message="no <route>" if state == "failing" else "")]
        for number, state in enumerate(states, 1)
    }
    html = render_health(view(checks=checks))

    assert all(word in html for word in words)


def test_without_checks_nothing_is_said() -> None:
    """The section is not seen."""
    assert render_health(view()) == ""


def test_nothing_from_outside_becomes_markup() -> None:
    """Names of handlers, applications and checks are text."""
    nasty = "<b>"
    found: Any = Handled(Handler(nasty, nasty, nasty, nasty), 1.0, 0, handled("x", 0, 1, 1).answers)
    html = render_slowest(view(found)) + render_failing(view(found))
    html += render_health(view(checks={nasty: [CheckState(nasty, "failing", message=nasty)]}))

    assert "<b>" not in html
