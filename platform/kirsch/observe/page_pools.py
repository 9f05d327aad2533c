"""The pools of the status page: every worker with its state and what it is inside of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from kirsch.observe.view import PoolView, StackView, WorkerView
from kirsch.observe.words import NOTHING, count, mebibytes, pill, span
from kirsch.scoreboard import Running

RUNNING_SHOWN = 4
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
HEADS = ("Worker", "State", "Inside of", "In flight", "Requests", "Memory", "Slots", "Release", "Restarts", "Process")
NUMBERS = frozenset({"In flight", "Requests", "Memory", "Restarts", "Process"})
STATES: Mapping[str, tuple[str, str]] = {
    "booting": ("wait", "imports its applications"),
    "warming": ("wait", "asks itself the first requests before anybody else does"),
    "ready": ("good", "serves"),
    "ill": ("bad", "serves, but its readiness probe fails"),
    "draining": ("wait", "gets no new requests and finishes what it has"),
    "standby": ("quiet", "replaced, and kept until its successor has proved itself"),
    "drained": ("aside", "taken out by the operator; alive, without new requests"),
    "quarantined": ("wait", "does not finish what it has; kept aside, its successor serves"),
    "failed": ("bad", "ended; another is about to be started"),
    "parked": ("bad", "ended again and again; tried once a minute"),
}
"""How a state looks, and what it means; shown to whoever points at one."""


def render_pools(view: StackView) -> str:
    """Return a card for each pool."""
    return (
        "".join(map(_pool, view.pools)) or '<div class="card"><h2>Workers</h2><p class="quiet">No pool yet.</p></div>'
    )


def _pool(pool: PoolView) -> str:
    head = "".join(f'<th scope="col"{_number(label)}>{label}</th>' for label in HEADS)
    rows = "".join(map(_worker, pool.workers))
    # those on standby or draining serve too, or did: how many there shall be says more than how many there are
    wanted = max(pool.wanted, pool.ready) if pool.wanted else len(pool.workers)
    facts = [escape(pool.engine), f"{pool.ready} of {wanted} ready", count(pool.slots, "slot")]
    facts += [f"load {100 * pool.load:.0f} %"] if pool.load is not None else []
    paused = pill("paused", "wait", "requests wait in the supervisor") if pool.is_paused else ""
    held = pill(f"{count(pool.held, 'request')} waiting", "wait") if pool.held else ""
    name = escape(pool.name)
    return (
        f'<div class="card"><header><h2>Pool {name} {paused}{held}</h2>'
        f'<p class="quiet">{" · ".join(facts)}</p></header>'
        f'{_bars(pool)}<table class="workers"><caption class="unseen">Workers of {name}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{''.join(_reports(pool))}</div>"
    )


def _worker(worker: WorkerView) -> str:
    state = "ill" if worker.is_ill and worker.state == "ready" else worker.state
    kind, meaning = STATES.get(state, ("quiet", ""))
    since = f' <span class="quiet">{span(time.time() - worker.since)}</span>' if worker.since else ""
    cells = {
        "State": f"{pill(state, kind, meaning)}{since}",
        "Inside of": _inside(worker),
        "In flight": f"{worker.counters.in_flight}",
        "Requests": f"{worker.counters.finished:,}",
        "Memory": mebibytes(worker.rss_bytes),
        "Slots": _slots(worker.slots),
        "Release": escape(worker.release or NOTHING),
        "Restarts": f"{worker.restarts}",
        "Process": str(worker.pid or NOTHING),
    }
    looks = {"Inside of": "" if worker.running else ' class="idle"'} | dict.fromkeys(NUMBERS, ' class="number"')
    row = "".join(f'<td data-label="{label}"{looks.get(label, "")}>{cells[label]}</td>' for label in HEADS[1:])
    note = f'<tr class="note"><td colspan="{len(HEADS)}">{escape(worker.note)}</td></tr>' if worker.note else ""
    return f'<tr><th scope="row">{escape(worker.name)}</th>{row}</tr>{note}'


def _inside(worker: WorkerView) -> str:
    if not worker.running:
        return f'<span class="quiet">{NOTHING}</span>'
    shown = "".join(map(_running, sorted(worker.running, key=lambda one: -one.for_s)[:RUNNING_SHOWN]))
    more = len(worker.running) - RUNNING_SHOWN
    return shown + (f'<div class="quiet">and {more} more</div>' if more > 0 else "")


def _running(one: Running) -> str:
    """Show what answers a request and for how long; below it the request, and the id by which the logs know it."""
    first = f"<code>{escape(one.handler or one.line)}</code> <b>{span(one.for_s)}</b>"
    facts = [f"<code>{escape(one.line)}</code>"] if one.handler else []
    facts += [escape(one.phase)] if one.phase != "handler" else []
    facts += [f'<code class="id">{escape(one.request_id)}</code>'] if one.request_id else []
    below = f'<div class="quiet">{" · ".join(facts)}</div>' if facts else ""
    return f'<div class="running">{first}{below}</div>'


def _slots(slots: tuple[int, ...]) -> str:
    """Say ``1-4, 7``: a pool may have hundreds."""
    found: list[list[int]] = []
    for slot in sorted(slots):
        if found and slot == found[-1][-1] + 1:
            found[-1] = [found[-1][0], slot]
        else:
            found.append([slot, slot])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in found) or NOTHING


def _reports(pool: PoolView) -> Iterator[str]:
    for worker in pool.workers:
        report: Mapping[str, Any] = worker.report or {}
        text = report.get("traceback") or report.get("output")
        if text:
            why = escape(str(report.get("message") or report.get("step") or ""))
            yield (
                f'<details id="report-{escape(worker.name)}"><summary>Why {escape(worker.name)} ended: {why}</summary>'
                f'<pre tabindex="0">{escape(str(text))}</pre></details>'
            )


def _bars(pool: PoolView) -> str:
    """Draw the shares of the status classes; as SVG, since the policy of the page allows no style attributes."""
    counts = dict(zip(CLASSES, pool.counters.by_class(), strict=True))
    total = sum(counts.values())
    if not total:
        return ""
    at, shapes = 0.0, []
    for label, number in counts.items():
        width = 100.0 * number / total
        shapes.append(f'<rect class="c{label}" x="{at:.3f}" y="0" width="{width:.3f}" height="6"/>')
        at += width
    said = ", ".join(f"{number:,} {label}" for label, number in counts.items() if number)
    return (
        f'<div class="bars"><svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">{"".join(shapes)}'
        f'</svg><p class="quiet">{said}</p></div>'
    )


def _number(label: str) -> str:
    return ' class="number"' if label in NUMBERS else ""
