"""The status page: whole, escaped, honest."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest

from kirsch.observe.metrics import STATES_OF_SEATS
from kirsch.observe.page import STATES, render_main, render_page
from kirsch.observe.view import PoolView, StackView, WorkerView
from kirsch.scoreboard import Counters, Running

VOID = {"meta", "link", "br", "rect"}


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
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def view(**fields: Any) -> StackView:
    nasty = '<script>alert("&")</script>'
    worker = WorkerView(
        name="web.1",
        state="ready",
        pid=7,
        since=1.0,
        release=nasty,
        slots=(1, 2),
        running=(Running(f"GET /{nasty}", 3.5),),
        counters=Counters(begun=5, finished=4, answers=(0,) * 15 + (3,) + (0,) * 14 + (0,) * 30 + (1,) + (0,) * 14),
    )
    failed = WorkerView(name="web.2", state="failed", report={"message": nasty, "traceback": f"Trace\n{nasty}"})
    pool = PoolView(name="web", engine="native", slots=2, workers=(worker, failed), counters=worker.counters, held=3)
    values: dict[str, Any] = {
        "stack": "shop",
        "release": "r1",
        "generation": 4,
        "pid": 1,
        "started": 1000.0,
        "pools": (pool,),
        "nginx": {"pid": 9, "listen": ["http://127.0.0.1:8080/"], "version": "1.22.1"},
        "events": ({"kind": "died", "at": 5.0, "worker": "web.2", "message": nasty, "lost": [nasty, "b"]},),
    }
    return StackView(**values | fields)


def test_the_page_is_well_formed() -> None:
    """Every element is closed; no id twice."""
    parser = Balance()
    parser.feed(render_page(view(degraded=("web.2: <b>ended</b>",))))

    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)


def test_nothing_from_outside_becomes_markup() -> None:
    """Releases, paths, tracebacks and events are text."""
    html = render_page(view(degraded=("<b>",), stack="<i>", release="<u>"))

    assert "<script>alert" not in html
    assert not re.search(r"<[biu]>", html)
    assert "&lt;script&gt;alert(&quot;&amp;&quot;)" in html


def test_the_policy_is_kept() -> None:
    """Neither inline styles nor inline scripts, nothing from elsewhere: the page's own policy forbids them."""
    html = render_page(view())

    assert " style=" not in html
    assert "<style" not in html
    assert not re.search(r"<script(?! src=\"assets/)", html)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//(?!127\.0\.0\.1)", html)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Everything serves."),
        ({"is_rolling": True}, "Rolling to a new generation."),
        ({"degraded": ("web.2: ended",)}, "Serving, but not all is well."),
        ({"degraded": ("nginx: ended",), "nginx": {"pid": None}}, "Not serving as it should."),
    ],
)
def test_the_banner_says_how_it_is(fields: dict[str, Any], words: str) -> None:
    """One sentence, and the reasons."""
    html = render_main(view(**fields))

    assert words in html
    assert all(reason in html for reason in fields.get("degraded", ()))


def test_numbers_are_shown() -> None:
    """Requests, failures, latency, what runs now."""
    html = render_main(view())

    assert "3 2xx, 1 5xx" in html
    assert "p50 &lt; 1 ms" in html
    assert "3 requests wait" in html
    assert "3.5 s" in html


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_state_has_its_look_and_its_meaning(state: str) -> None:
    """A class that the style sheet knows, and a sentence for whoever points at it."""
    sheet = resources.files("kirsch.observe").joinpath("assets/status.css").read_text()
    given = {"state": "ready", "is_ill": True} if state == "ill" else {"state": state}
    pool = PoolView(name="web", engine="native", slots=1, workers=(WorkerView(name="web.1", **given),))
    html = render_main(view(pools=(pool,)))

    assert f'<span class="state {state}" title="{STATES[state]}">{state}</span>' in html
    assert re.search(rf"\.state\.{state}\b[^{{]*{{", sheet)


def test_every_state_that_the_metrics_know_is_explained() -> None:
    """Whoever adds a state says what it means."""
    assert set(STATES_OF_SEATS) <= set(STATES)


def test_what_runs_is_shown_with_handler_and_id() -> None:
    """Enough to find it in nginx's log and in the code; what there is too much of is counted."""
    one = Running("GET /cart", 3.5, handler="shop.web.Shop.cart", request_id="a<b", phase="sending")
    worker = WorkerView(
        name="web.1", state="ready", running=(one, *[Running("GET /", 0.1)] * 6), note="legacy <broken>"
    )
    pool = PoolView(name="web", engine="native", slots=1, workers=(worker,))
    html = render_main(view(pools=(pool,)))

    assert "<code>shop.web.Shop.cart</code> · sending<br><code>a&lt;b</code>" in html
    assert "and 2 more" in html
    assert '<td colspan="10">legacy &lt;broken&gt;</td>' in html
    assert html.count('<th scope="col"') == 10


def test_a_pool_is_measured_by_what_it_shall_be() -> None:
    """A worker on standby is no missing one."""
    workers = (WorkerView(name="web.1", state="ready"), WorkerView(name="web.1", state="standby"))
    pool = PoolView(name="web", engine="native", slots=1, workers=workers, wanted=1, is_paused=True)

    assert "native, 1 of 1 ready, 1 slots, paused" in render_main(view(pools=(pool,)))


def test_an_empty_stack_is_a_page_too() -> None:
    """Before the first worker, without nginx."""
    assert "none yet" in render_page(view(pools=(), nginx=None, events=()))
