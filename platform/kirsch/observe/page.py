"""The status page as HTML: whole without a script, without any asset from elsewhere, every value escaped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from kirsch.observe.metrics import CLASSES
from kirsch.observe.view import PoolView, StackView, WorkerView
from kirsch.scoreboard import BOUNDS_S, Counters, Running

EVENTS_SHOWN = 40
RUNNING_SHOWN = 5
HEADS = ("Worker", "State", "pid", "Release", "Slots", "Requests", "Inside", "Memory", "Restarts", "Now")
NUMBERS = frozenset({"pid", "Requests", "Inside", "Memory", "Restarts"})
STATES = {
    "booting": "imports its applications",
    "warming": "asks itself the first requests before anybody else does",
    "ready": "serves",
    "ill": "serves, but its readiness probe fails",
    "draining": "gets no new requests and finishes what it has",
    "standby": "replaced, and kept until its successor has proved itself",
    "drained": "taken out by the operator; alive, without new requests",
    "quarantined": "does not finish what it has; kept aside, its successor serves",
    "failed": "ended; another is about to be started",
    "parked": "ended again and again; tried once a minute",
}
"""What the states mean; shown to whoever points at one."""
LONG_FACTS = frozenset({"Release", "Addresses"})


def render_page(view: StackView) -> str:
    """Return the whole document."""
    name = escape(view.stack)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} · Kirsch</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="assets/status.css">
<script src="assets/status.js" defer></script>
</head>
<body>
<div class="page">
<header>
<h1><span class="cherry" aria-hidden="true"></span>{name}</h1>
<span class="quiet" id="live" role="status"></span>
<nav aria-label="Other forms">
<a href="status.json">JSON</a> <a href="metrics">Metrics</a> <a href="readyz">Health</a>
</nav>
</header>
<main>
{render_main(view)}
</main>
</div>
</body>
</html>
"""


def render_main(view: StackView) -> str:
    """Return what of the page changes."""
    return "\n".join([_banner(view), _facts(view), *map(_pool, view.pools), _events(view)])


def _banner(view: StackView) -> str:
    if not view.degraded:
        words = "Rolling to a new generation." if view.is_rolling else "Everything serves."
        return f'<section class="card banner{" wait" if view.is_rolling else ""}"><strong>{words}</strong></section>'
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in view.degraded)
    kind = "wait" if view.is_ready else "bad"
    words = "Serving, but not all is well." if view.is_ready else "Not serving as it should."
    return f'<section class="card banner {kind}"><strong>{words}</strong><ul>{reasons}</ul></section>'


def _facts(view: StackView) -> str:
    counters = sum((pool.counters for pool in view.pools), Counters())
    nginx = view.nginx or {}
    links = " ".join(f'<a href="{escape(url)}">{escape(url)}</a>' for url in nginx.get("listen", ()))
    facts = {
        "Release": escape(view.release),
        "Generation": str(view.generation),
        "Up for": _span(time.time() - view.started),
        "Requests": f"{counters.finished:,}",
        "Failed (5xx)": f"{counters.by_class()[4]:,}",
        "Latency": _quantiles(counters),
        "nginx": escape(f"{nginx.get('version', '')} · {nginx.get('pid') or 'not running'}") if nginx else "none",
        "Addresses": links or "none",
    }
    rows = "".join(
        f"<div{' class=long' if label in LONG_FACTS else ''}><dt>{label}</dt><dd>{value}</dd></div>"
        for label, value in facts.items()
    )
    return f'<section class="card" aria-label="At a glance"><dl class="facts">{rows}</dl></section>'


def _pool(pool: PoolView) -> str:
    head = "".join(f'<th scope="col"{_number(label in NUMBERS)}>{label}</th>' for label in HEADS)
    rows = "".join(map(_worker, pool.workers))
    held = f", {pool.held} requests wait" if pool.held else ""
    paused = ", paused" if pool.is_paused else ""
    # those on standby or draining serve too, or did: how many there shall be says more than how many there are
    wanted = max(pool.wanted, pool.ready) if pool.wanted else len(pool.workers)
    return (
        f'<section class="card"><h2>Pool {escape(pool.name)} <small>{escape(pool.engine)}, {pool.ready} of '
        f"{wanted} ready, {pool.slots} slots{paused}{held}</small></h2>{_bars(pool.counters)}"
        f'<div class="scroll" tabindex="0" role="region" aria-label="Workers of {escape(pool.name)}"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>{''.join(_reports(pool))}</section>"
    )


def _worker(worker: WorkerView) -> str:
    state = "ill" if worker.is_ill and worker.state == "ready" else worker.state
    since = f" <span class=quiet>{_span(time.time() - worker.since)}</span>" if worker.since else ""
    now = "".join(map(_running, worker.running[:RUNNING_SHOWN]))
    if len(worker.running) > RUNNING_SHOWN:
        now += f'<div class="quiet">and {len(worker.running) - RUNNING_SHOWN} more</div>'
    note = f'<tr class="note"><td colspan="{len(HEADS)}">{escape(worker.note)}</td></tr>' if worker.note else ""
    memory = f"{worker.rss_bytes / 2**20:.0f} MiB" if worker.rss_bytes else ""
    return (
        f'<tr><th scope="row">{escape(worker.name)}</th><td><span class="state {escape(state)}" '
        f'title="{STATES.get(state, "")}">{escape(state)}</span>'
        f"{since}</td><td{_number(True)}>{worker.pid or ''}</td><td>{escape(worker.release or '')}</td>"
        f"<td>{', '.join(map(str, worker.slots))}</td><td{_number(True)}>{worker.counters.finished:,}</td>"
        f"<td{_number(True)}>{worker.counters.in_flight}</td><td{_number(True)}>{memory}</td>"
        f'<td{_number(True)}>{worker.restarts}</td><td class="wide">{now}</td></tr>{note}'
    )


def _running(one: Running) -> str:
    """Show a request, and below it what answers it, in which phase, and the id by which the logs know it."""
    facts = [f"<code>{escape(one.handler)}</code>"] if one.handler else []
    facts += [escape(one.phase)] if one.phase != "handler" else []
    lines = [" · ".join(facts)] if facts else []
    lines += [f"<code>{escape(one.request_id)}</code>"] if one.request_id else []
    about = f'<div class="quiet">{"<br>".join(lines)}</div>' if lines else ""
    return f'<div class="running"><code>{escape(one.line)}</code> {_span(one.for_s)}{about}</div>'


def _reports(pool: PoolView) -> Iterator[str]:
    for worker in pool.workers:
        report: Mapping[str, Any] = worker.report or {}
        text = report.get("traceback") or report.get("output")
        if text:
            yield (
                f'<details id="report-{escape(worker.name)}"><summary>Why {escape(worker.name)} ended: '
                f"{escape(str(report.get('message') or report.get('step') or ''))}</summary>"
                f"<pre>{escape(str(text))}</pre></details>"
            )


def _bars(counters: Counters) -> str:
    """Draw the shares of the status classes; drawn as SVG, since the policy of the page allows no style attributes."""
    counts = dict(zip(CLASSES, counters.by_class(), strict=True))
    total = sum(counts.values())
    if not total:
        return ""
    at, shapes = 0.0, []
    for label, count in counts.items():
        width = 100.0 * count / total
        shapes.append(f'<rect class="c{label}" x="{at:.3f}" y="0" width="{width:.3f}" height="8"/>')
        at += width
    words = ", ".join(f"{count:,} {label}" for label, count in counts.items() if count)
    return (
        f'<div class="bars" role="img" aria-label="Answers: {words}" title="{words}">'
        f'<svg viewBox="0 0 100 8" preserveAspectRatio="none">{"".join(shapes)}</svg></div>'
    )


def _events(view: StackView) -> str:
    rows = "".join(map(_event, reversed(view.events[-EVENTS_SHOWN:])))
    return f'<section class="card"><h2>What happened</h2><ol class="events">{rows}</ol></section>' if rows else ""


def _event(event: Mapping[str, Any]) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(event["at"]))
    who = event.get("worker") or event.get("pool") or ""
    rest = [str(event["message"])] if event.get("message") else []
    rest += [
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in event.items()
        if name not in {"kind", "at", "worker", "pool", "message", "state"}
    ]
    return (
        f'<li><time class="quiet">{at}</time><strong>{escape(str(event["kind"]))}</strong>'
        f'<span class="what">{escape(" · ".join(filter(None, [str(who), *rest])))}</span></li>'
    )


def _quantiles(counters: Counters) -> str:
    """Say the bucket bounds under which half and 99 % of the answers lie."""
    buckets = counters.by_duration()
    total = sum(buckets)
    if not total:
        return "none yet"
    found = []
    for share in (0.5, 0.99):
        seen = 0
        for bound, count in zip([*BOUNDS_S, float("inf")], buckets, strict=True):
            seen += count
            if seen >= share * total:
                found.append(
                    f"p{share * 100:.0f} &lt; {bound * 1000:g} ms" if bound != float("inf") else "p99 &gt; 30 s"
                )
                break
    return "<br>".join(found)


def _number(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _span(seconds: float) -> str:
    """Say a time span in its two largest units: ``3 d 4 h``, ``5 min 20 s``, ``0.4 s``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts)
