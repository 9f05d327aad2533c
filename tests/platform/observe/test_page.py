"""The status page: whole, escaped, honest."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest

from kirsch.observe.deploys import Deploy
from kirsch.observe.effective import Group
from kirsch.observe.history import MARK_OF_EVENT, Column, Past
from kirsch.observe.metrics import STATES_OF_SEATS
from kirsch.observe.page import CHARTS, SECTIONS, render_page, render_sections, render_title
from kirsch.observe.page_pools import STATES
from kirsch.observe.page_story import KIND_OF_MARK
from kirsch.observe.view import PoolView, StackView, WorkerView
from kirsch.scoreboard import BOUNDS_S, Counters, Running

VOID = {"meta", "link", "br"}
NASTY = '<script>alert("&")</script>'
BUCKETS = len(BOUNDS_S) + 1
SHEET = resources.files("kirsch.observe").joinpath("assets/status.css").read_text()


class Balance(HTMLParser):
    """Sees that every element is closed, and which ids there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"path", "rect"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def view(**fields: Any) -> StackView:
    """A stack in which everything that comes from outside is nasty."""
    answers = [0] * (5 * BUCKETS)
    answers[BUCKETS], answers[4 * BUCKETS] = 3, 1
    counters = Counters(begun=5, finished=4, answers=tuple(answers))
    running = Running(f"GET /{NASTY}", 3.5, handler=NASTY, request_id=NASTY, phase="sending")
    worker = WorkerView(
        name="web.1", state="ready", pid=7, since=1.0, release=NASTY, slots=(1, 2, 3, 7), running=(running,),
        counters=counters, note=NASTY,
    )  # fmt: skip
    failed = WorkerView(name="web.2", state="failed", report={"message": NASTY, "traceback": f"Trace\n{NASTY}"})
    pool = PoolView(
        name="web", engine="native", slots=4, workers=(worker, failed), counters=counters, held=3, wanted=2, load=0.42
    )
    values: dict[str, Any] = {
        "stack": "shop",
        "release": "r1",
        "generation": 4,
        "pid": 1,
        "started": time.time() - 100_000,
        "pools": (pool,),
        "nginx": {"pid": 9, "listen": ["http://127.0.0.1:8080/"], "version": "1.22.1"},
        "events": ({"kind": "died", "at": 5.0, "worker": "web.2", "message": NASTY, "lost": [NASTY, "b"]},),
        "bus": {"members": [{"id": NASTY}], "leader": NASTY, "leases": {NASTY: {"holder": NASTY}}, "degraded": NASTY},
        "deploys": (Deploy(at=NASTY, by=NASTY, release=NASTY, outcome=NASTY, reason=NASTY),),
        "configuration": (Group(NASTY, ((NASTY, NASTY),), 3),),
        "past": Past(time.time() - 600, (Column(100.0, 200.0, 0.0, 4.0, 1.2, 8.0, 1234.0, 3, 0),)),
    }
    return StackView(**values | fields)


def test_the_page_is_well_formed() -> None:
    """Every element is closed; no id twice; each section is where the script looks for it."""
    parser = Balance()
    parser.feed(render_page(view(degraded=("web.2: <b>ended</b>",))))

    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    assert {*SECTIONS, *(f"chart-{chart[0]}" for chart in CHARTS), "live"} <= set(parser.ids)


def test_nothing_from_outside_becomes_markup() -> None:
    """Releases, paths, tracebacks, events, members, configuration are text."""
    html = render_page(view(degraded=(NASTY,), stack=NASTY, release=NASTY))

    assert "<script>alert" not in html
    assert 'alert("&")' not in html
    assert html.count("&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;") >= 20


def test_the_policy_is_kept() -> None:
    """Neither inline styles nor inline scripts, nothing from elsewhere: the page's own policy forbids them."""
    html = render_page(view())

    assert " style=" not in html
    assert "<style" not in html
    assert not re.search(r" on\w+=", html)
    assert not re.search(r"<script(?! src=\"assets/)", html)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//(?!127\.0\.0\.1)", html)


@pytest.mark.parametrize(
    ("fields", "words", "title"),
    [
        ({}, "Everything serves.", "shop · Kirsch"),
        ({"is_rolling": True}, "Rolling to a new generation.", "shop · Kirsch"),
        ({"degraded": ("web.2: ended",)}, "Serving, but not all is well.", "! shop (1) · Kirsch"),
        ({"degraded": ("nginx: ended",), "nginx": {"pid": None}}, "Not serving as it should.", "✗ shop · Kirsch"),
    ],
)
def test_the_banner_says_how_it_is(fields: dict[str, Any], words: str, title: str) -> None:
    """One sentence, and the reasons; in the title too, for who has the page in another tab."""
    html = render_sections(view(**fields))["status"]

    assert words in html
    assert all(reason in html for reason in fields.get("degraded", ()))
    assert render_title(view(**fields)) == title


def test_the_tiles_say_what_is_now() -> None:
    """Rates and latencies of the last seconds, sums of all time."""
    html = render_sections(view())["tiles"]

    for words in (
        "200<small>/s",
        "4 in all",
        "1.2 s",
        "p50 1.2 ms",
        "2.0 %",
        "1 5xx in all",
        "3 requests waiting",
        "1 d 3 h",
    ):
        assert words in html


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_state_has_its_look_and_its_meaning(state: str) -> None:
    """A class that the style sheet knows, a word, and a sentence for whoever points at it."""
    kind, meaning = STATES[state]
    given: dict[str, Any] = {"state": "ready", "is_ill": True} if state == "ill" else {"state": state}
    pool = PoolView(name="web", engine="native", slots=1, workers=(WorkerView(name="web.1", **given),))
    html = render_sections(view(pools=(pool,)))["pools"]

    assert f'<span class="pill {kind}" title="{meaning}">{state}</span>' in html
    assert kind == "quiet" or re.search(rf"\.pill\.{kind} ", SHEET)


def test_every_state_that_the_metrics_know_is_explained() -> None:
    """Whoever adds a state says what it means."""
    assert set(STATES_OF_SEATS) <= set(STATES)


def test_every_mark_has_its_look() -> None:
    """On the charts and in the list."""
    assert set(MARK_OF_EVENT.values()) == set(KIND_OF_MARK)
    assert all(f".mark.{kind} " in SHEET for kind in set(KIND_OF_MARK) - {"start"})


def test_what_runs_is_shown_the_longest_first() -> None:
    """Handler and time first; below them enough to find it in nginx's log; what there is too much of is counted."""
    long = Running("GET /cart", 3.5, handler="shop.web.Shop.cart", request_id="a1")
    worker = WorkerView(name="web.1", state="ready", running=(*[Running("GET /", 0.1)] * 6, long))
    pool = PoolView(name="web", engine="native", slots=1, workers=(worker,))
    html = render_sections(view(pools=(pool,)))["pools"]

    assert '<code>shop.web.Shop.cart</code> <b>3.5 s</b><div class="quiet"><code>GET /cart</code> · ' in html
    assert html.index("shop.web.Shop.cart") < html.index("0.1 s")
    assert "and 3 more" in html


def test_a_pool_is_measured_by_what_it_shall_be() -> None:
    """A worker on standby is no missing one; slots in a row are one range."""
    workers = (WorkerView(name="web.1", state="ready", slots=(1, 2, 3, 7)), WorkerView(name="web.1", state="standby"))
    pool = PoolView(name="web", engine="native", slots=1, workers=workers, wanted=1, is_paused=True)
    html = render_sections(view(pools=(pool,)))["pools"]

    assert "native · 1 of 1 ready · 1 slot" in html
    assert "paused</span>" in html
    assert ">1-3, 7<" in html


def test_an_empty_stack_is_a_page_too() -> None:
    """Before the first worker, without nginx, bus and history."""
    html = render_page(view(pools=(), nginx=None, events=(), bus={}, deploys=(), configuration=(), past=Past()))

    assert "No pool yet." in html
    assert "Nothing was deployed here yet." in html
    assert '<section id="bus"></section>' in html
