"""The status page of a running stack in a real browser, from its first look until after an upgrade.

The tests follow each other: all look at the same page, which is never loaded anew.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .chromium import Chromium, Page

POINTS = (
    "[...document.querySelectorAll('#chart-%s .line')].map((line) => line.getAttribute('d').split(/[ML]/).length - 1)"
)
#: What the page is judged by: the rules of WCAG 2.2 AA, and those that are good practice.
AXE = "axe.run({ resultTypes: ['violations'] }).then((found) => found.violations.map((one) => " \
    "`${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).join(' ')}`.slice(0, 600)))"  # fmt: skip


@pytest.fixture(scope="module")
def page(chromium: Chromium, host: Any) -> Iterator[Page]:
    """The page, loaded once."""
    made = chromium.open_page()
    made.show(1280)
    made.go(host.status()["admin"])
    made.evaluate("window.isTheSame = true")
    yield made
    made.close()


def test_it_comes_alive(page: Page) -> None:
    """The stream has begun, and says so; workers are there by name and state."""
    page.wait_for("document.querySelector('#live').classList.contains('on')")
    page.wait_for("document.querySelectorAll('#pools tbody th').length === 2")

    assert page.evaluate("document.querySelector('#live').innerText.trim()") == "live"
    assert page.evaluate("[...document.querySelectorAll('#pools .pill')].map((one) => one.innerText)") == ["ready"] * 2
    assert page.evaluate("document.title") == "demo · Kirsch"


def test_a_roll_is_seen_as_it_goes(page: Page, host: Any) -> None:
    """Without a reload: the new release, the event, the mark on every chart; opened things stay open."""
    page.evaluate("document.querySelector('#configuration details').open = true")
    host.write(host.state("r2"))
    host.control.call("roll")
    page.wait_for("document.querySelector('#status').innerText.includes('r2')")
    page.wait_for("[...document.querySelectorAll('#events .pill')].some((one) => one.innerText === 'rolled')")
    page.wait_for("document.querySelectorAll('.mark.roll').length === 3")
    page.wait_for(
        "[...document.querySelectorAll('#pools td[data-label=Release]')].every((one) => one.innerText === 'r2')"
    )

    assert page.evaluate("window.isTheSame") is True
    assert page.evaluate("document.querySelector('#configuration details').open") is True


def test_what_a_worker_is_inside_of_is_seen(page: Page, host: Any, tmp_path: Path) -> None:
    """The request, while it runs, and not after it."""
    until = tmp_path / "over"
    slow = threading.Thread(target=host.get, args=(f"/patience?until={until}",), kwargs={"timeout_s": 90})
    slow.start()
    try:
        page.wait_for("document.querySelector('#pools').innerText.includes('/patience')")
    finally:
        until.touch()
        slow.join(60)

    page.wait_for("!document.querySelector('#pools').innerText.includes('/patience')")


def test_the_keyboard_reaches_everything(page: Page) -> None:
    """Tab goes through every link, chart and summary; arrows read a chart; Enter opens a summary."""
    page.evaluate("document.querySelector('#configuration details').open = false; document.activeElement.blur()")
    wanted = page.evaluate(
        "window.targets = [...document.querySelectorAll('a[href], summary, [tabindex=\"0\"]')].filter("
        "(one) => one.checkVisibility() && (one.tagName === 'SUMMARY' || !one.closest('details:not([open])')));"
        "targets.length"
    )
    reached = set()
    for _ in range(wanted + 5):
        page.press("Tab")
        reached.add(page.evaluate("targets.indexOf(document.activeElement)"))
        if page.evaluate("document.activeElement.matches('#chart-requests .plot')"):
            page.press("Home")
            first = page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
            page.press("ArrowRight")
            second = page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
            ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.evaluate("document.querySelector('#configuration summary').focus()")
    page.press("Enter")

    assert reached >= set(range(wanted))
    assert first != second
    assert "/s" in second
    assert ring == "solid"
    page.wait_for("document.querySelector('#configuration details').open")


def test_charts_are_drawn(page: Page) -> None:
    """Each line has points inside of its chart; there were requests, latencies and errors, of a handler with a name."""
    for chart, lines in (("requests", 1), ("latency", 3), ("errors", 2)):
        page.wait_for(f"({POINTS % chart}).filter((points) => points >= 2).length === {lines}")
    numbers = page.evaluate(
        "[...document.querySelectorAll('.plot path')].some((one) => /NaN|Infinity/.test(one.getAttribute('d')))"
    )

    assert numbers is False
    page.wait_for("document.querySelector('#failing').innerText.includes('Root.broken')")
    page.wait_for("parseFloat(document.querySelector('.tiles dd').innerText) > 1")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_it_is_seen_and_heard_by_everybody(page: Page, axe: str, pictures: Path, width: int, dark: bool) -> None:
    """axe-core finds nothing, nothing is beyond the window's edge; the picture is kept."""
    page.show(width, dark=dark)
    page.wait_for(f"[...document.querySelectorAll('.plot svg')].every((one) => one.clientWidth <= {width})")
    page.keep_picture(pictures / f"status-{width}-{'dark' if dark else 'light'}.png")
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe)
    violations = page.evaluate(AXE)
    beyond = page.evaluate("document.documentElement.scrollWidth")

    assert violations == []
    assert beyond <= width


def test_it_goes_on_after_an_upgrade(page: Page, host: Any) -> None:
    """The stream comes back by itself, with the history of before."""
    page.show(1280)
    before = page.evaluate("document.querySelector('#chart-requests .plot').getAttribute('aria-valuemax')")
    started = host.status()["started"]
    host.control.call("upgrade")
    host.wait_for(lambda status: status["started"] > started and status["admin"], 60)
    page.wait_for("document.querySelectorAll('.mark.start').length >= 6")
    page.wait_for("document.querySelector('#live').classList.contains('on')")

    assert int(page.evaluate("document.querySelector('#chart-requests .plot').getAttribute('aria-valuemax')")) >= int(
        before
    )
    assert page.evaluate("window.isTheSame") is True


def test_nothing_went_wrong_in_the_console(page: Page) -> None:
    """No error, no exception, nothing that the page's policy forbids; but for the moment without a supervisor."""
    gone = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")

    assert [problem for problem in page.problems if not any(word in problem for word in gone)] == []


def test_the_policy_keeps_scripts_out(chromium: Chromium, host: Any) -> None:
    """Even if markup came through, nothing in it would run; and this very test would see it."""
    page = chromium.open_page()
    page.go(host.status()["admin"])
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = 1' }))"
    )
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 2\">')")
    page.wait_for("document.images.length && document.images[0].complete")

    assert page.evaluate("window.ran ?? null") is None
    assert any("Content Security Policy" in problem for problem in page.problems), json.dumps(page.problems)
    page.close()
