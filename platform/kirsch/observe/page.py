"""The status page as HTML: whole without a script, without any asset from elsewhere, every value escaped.

It is made of sections with ids; the script gets those anew that have changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from html import escape

import kirsch
from kirsch.observe import page_failures, page_handlers, page_pools, page_story, words
from kirsch.observe.history import Column
from kirsch.observe.view import StackView
from kirsch.scoreboard import Counters

#: What a tile says happens now, is the mean of the last columns.
NOW_S = 10.0
CHARTS = (
    ("requests", "Requests", "answers a second", ("requests",)),
    ("latency", "Latency", "of answers", ("p50", "p95", "p99")),
    ("errors", "Errors", "a second", ("5xx", "4xx")),
)
"""Id, title, what is drawn, the lines."""
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='9' r='6' fill='%23b3133f'/%3E"
    "%3Cpath d='M8 4q1-3 4-3' stroke='%234a7a3a' stroke-width='1.5' fill='none'/%3E%3C/svg%3E"
)


def render_page(view: StackView) -> str:
    """Return the whole document."""
    sections = render_sections(view)
    name = escape(view.stack)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(render_title(view))}</title>
<link rel="icon" href="{ICON}">
<link rel="stylesheet" href="assets/status.css">
<script src="assets/chart.js" defer></script>
<script src="assets/status.js" defer></script>
</head>
<body data-version="{escape(kirsch.__version__)}">
<a class="skip" href="#pools">Skip to the workers</a>
<header class="top"><div class="wrap">
<h1>{name}</h1>
<p class="live" id="live" role="status"><span class="dot" aria-hidden="true"></span>
<span class="said">as of now</span></p>
<nav aria-label="Other forms">
<a href="status.json">JSON</a> <a href="metrics">Metrics</a> <a href="readyz">Health</a>
</nav>
</div></header>
<main class="wrap">
<noscript><p class="note">Without scripts this page shows the moment of its loading, and no charts.</p></noscript>
{_place(sections, "status")}
{_place(sections, "tiles")}
<div class="charts">
{"".join(_chart(*chart) for chart in CHARTS)}
</div>
{_place(sections, "pools")}
<div class="pair">
{_place(sections, "slowest")}
{_place(sections, "failing")}
</div>
{_place(sections, "health")}
<div class="pair">
{_place(sections, "events")}
{_place(sections, "deploys")}
</div>
<div class="pair">
{_place(sections, "failures")}
{_place(sections, "bus")}
</div>
{_place(sections, "configuration")}
</main>
<footer class="wrap"><p>Kirsch {escape(kirsch.__version__)} · supervisor {view.pid}</p></footer>
</body>
</html>
"""


def render_title(view: StackView) -> str:
    """Return the document's title: what somebody sees who has the page in another tab."""
    if not view.is_ready:
        return f"✗ {view.stack} · Kirsch"
    if view.degraded:
        return f"! {view.stack} ({len(view.degraded)}) · Kirsch"
    return f"{view.stack} · Kirsch"


def render_sections(view: StackView) -> dict[str, str]:
    """Return what of the page changes, by id."""
    return {name: render(view) for name, render in SECTIONS.items()}


def _place(sections: Mapping[str, str], name: str) -> str:
    return f'<section id="{name}">{sections[name]}</section>'


def _chart(name: str, title: str, what: str, lines: tuple[str, ...]) -> str:
    legend = "".join(
        f'<li class="line-{line}"><svg viewBox="0 0 12 4" aria-hidden="true"><path d="M0 2H12"/></svg> {line}</li>'
        for line in lines
    )
    shown = f'<ul class="legend">{legend}</ul>' if len(lines) > 1 else ""
    return (
        f'<figure class="card chart" id="chart-{name}"><figcaption><h2>{title} <small>{what}</small></h2>{shown}'
        f'</figcaption><div class="plot" tabindex="0" role="slider" aria-label="{title}, {what}: a moment" '
        'aria-valuemin="0" aria-valuemax="0" aria-valuenow="0" aria-valuetext="nothing yet"></div>'
        '<p class="reading" aria-hidden="true">&nbsp;</p></figure>'
    )


def _status(view: StackView) -> str:
    listen = (view.nginx or {}).get("listen", ())
    links = " ".join(f'<a href="{escape(url)}">{escape(url)}</a>' for url in listen[:6])
    more = f" and {len(listen) - 6} more" if len(listen) > 6 else ""
    release = f"release <strong>{escape(view.release)}</strong>, generation {view.generation}"
    where = f'<p class="where">{release}{" · " + links if links else ""}{more}</p>'
    kind, sentence = _verdict(view)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in view.degraded)
    listed = f"<ul>{reasons}</ul>" if reasons else ""
    return f'<div class="card banner {kind}"><h2>{sentence}</h2>{listed}{where}</div>'


def _verdict(view: StackView) -> tuple[str, str]:
    if not view.is_ready:
        return "bad", "Not serving as it should."
    if view.degraded:
        return "wait", "Serving, but not all is well."
    return ("wait", "Rolling to a new generation.") if view.is_rolling else ("good", "Everything serves.")


def _tiles(view: StackView) -> str:
    counters = sum((pool.counters for pool in view.pools), Counters())
    recent = view.past.last(NOW_S)
    workers = [worker for pool in view.pools for worker in pool.workers]
    ready, wanted = sum(pool.ready for pool in view.pools), sum(pool.wanted for pool in view.pools)
    lost = sum(pool.lost + pool.refused for pool in view.pools)
    held = sum(pool.held for pool in view.pools)
    in_flight = sum(worker.counters.in_flight for worker in workers)
    loads = [pool.load for pool in view.pools if pool.load is not None]
    requests = _mean(recent, "requests")
    failed = _mean(recent, "server_errors")
    slow = _worst(recent, "p99_ms")
    p50, p95 = words.milliseconds(_worst(recent, "p50_ms")), words.milliseconds(_worst(recent, "p95_ms"))
    tiles = [
        ("Requests", f"{words.rate(requests)}<small>/s</small>", f"{counters.finished:,} in all", ""),
        ("Latency p99", words.milliseconds(slow), f"p50 {p50} · p95 {p95}", ""),
        (
            "Errors",
            escape(words.percent(failed, requests)),
            f"{counters.by_class()[4]:,} 5xx in all" + (f" · {lost:,} unanswered" if lost else ""),
            "bad" if failed and failed >= 0.01 * requests else "",
        ),
        (
            "In flight",
            f"{in_flight:,}",
            f"{words.count(held, 'request')} waiting"
            if held
            else (f"load {100 * max(loads):.0f} %" if loads else "nobody waits"),
            "wait" if held else "",
        ),
        (
            "Workers ready",
            f"{ready}<small> of {max(wanted, ready)}</small>",
            words.mebibytes(sum(worker.rss_bytes for worker in workers)).replace(words.NOTHING, "no memory yet"),
            "" if ready >= wanted else "wait",
        ),
        ("Up for", words.span(time.time() - view.started), f"history since {words.clock(view.past.since)}", ""),
    ]
    shown = "".join(
        f'<div class="{kind}"><dt>{label}</dt><dd>{value}</dd><dd class="sub">{below}</dd></div>'
        for label, value, below, kind in tiles
    )
    return f'<h2 class="unseen">At a glance</h2><dl class="tiles">{shown}</dl>'


def _mean(columns: tuple[Column, ...], name: str) -> float:
    values = [float(getattr(column, name)) for column in columns]
    return sum(values) / len(values) if values else 0.0


def _worst(columns: tuple[Column, ...], name: str) -> float | None:
    values = [value for column in columns if (value := getattr(column, name)) is not None]
    return max(values, default=None)


SECTIONS: Mapping[str, Callable[[StackView], str]] = {
    "status": _status,
    "tiles": _tiles,
    "pools": page_pools.render_pools,
    "slowest": page_handlers.render_slowest,
    "failing": page_handlers.render_failing,
    "health": page_handlers.render_health,
    "deploys": page_story.render_deploys,
    "events": page_story.render_events,
    "failures": page_failures.render_failures,
    "bus": page_story.render_bus,
    "configuration": page_story.render_configuration,
}
"""What of the page changes: each returns the inside of one section; an empty one is not seen."""
