"""The slowest and the failing page handlers of the status page, and the health checks of its applications."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from kirsch.observe.history import quantile
from kirsch.observe.view import StackView
from kirsch.observe.words import milliseconds, percent, pill, span
from kirsch.scoreboard import CheckState, Handled

SHOWN = 8
SLOW_HEADS = ("Handler", "Requests", "Mean", "p99")
FAILING_HEADS = ("Handler", "Requests", "5xx", "Share")
STATES = {"passing": "good", "failing": "bad", "pending": "wait"}


def render_slowest(view: StackView) -> str:
    """Return the handlers with the worst p99 since the stack was started."""
    found = [(_p99(one), one) for one in _handled(view)]
    slowest = sorted(found, key=lambda pair: -pair[0])[:SHOWN]
    rows = [
        (_name(one), f"{_count(one):,}", milliseconds(1000 * one.duration_s / _count(one)), milliseconds(1000 * p99))
        for p99, one in slowest
    ]
    return _table("Slowest handlers", SLOW_HEADS, rows, "No page was asked for yet.")


def render_failing(view: StackView) -> str:
    """Return the handlers that answered with 5xx, the largest share of their answers first."""
    found = [(one.by_class()[4] / _count(one), one) for one in _handled(view) if one.by_class()[4]]
    failing = sorted(found, key=lambda pair: -pair[0])[:SHOWN]
    rows = [
        (_name(one), f"{_count(one):,}", f"{one.by_class()[4]:,}", escape(percent(one.by_class()[4], _count(one))))
        for _, one in failing
    ]
    return _table("Failing handlers", FAILING_HEADS, rows, "None has failed.")


def render_health(view: StackView) -> str:
    """Return the health checks of the applications, those that fail first; nothing where there are none."""
    checks: dict[tuple[str, str], list[tuple[str, CheckState]]] = {}
    for pool in view.pools:
        for worker in pool.workers:
            for check in worker.checks:
                checks.setdefault((pool.name, check.name), []).append((worker.name, check))
    if not checks:
        return ""
    rows = sorted((_check(pool, name, seen) for (pool, name), seen in checks.items()), key=lambda row: row[0])
    return f'<div class="card"><h2>Health checks</h2><ul class="checks">{"".join(row[1] for row in rows)}</ul></div>'


def _check(pool: str, name: str, seen: Sequence[tuple[str, CheckState]]) -> tuple[bool, str]:
    """Return whether all is well, and the line."""
    states = [check.state for _, check in seen]
    state = next((one for one in ("failing", "pending") if one in states), "passing")
    worst = [(worker, check) for worker, check in seen if check.state == state]
    shown = worst[0][1]
    facts = [escape(pool), "critical" if shown.critical else "not critical", milliseconds(1000 * shown.duration_s)]
    facts += [f"since {span(time.time() - shown.changed)}"] if shown.changed else []
    facts += [f"{len(worst)} of {len(seen)} workers: {escape(', '.join(worker for worker, _ in worst[:4]))}"] * (
        state != "passing"
    )
    message = f"<p>{escape(shown.message)}</p>" if shown.message else ""
    return state == "passing", (
        f"<li>{pill(state, STATES.get(state, 'quiet'))} <strong>{escape(name)}</strong> "
        f'<span class="quiet">{" · ".join(facts)}</span>{message}</li>'
    )


def _handled(view: StackView) -> list[Handled]:
    """Return what was answered by page: releases and pools together, the code where this release has it."""
    found: dict[tuple[str, str, str], Handled] = {}
    here = f"{view.release}/"
    for one in [one for pool in view.pools for one in pool.handled if any(one.answers)]:
        handler = one.handler
        known = found.get((handler.app, handler.name, handler.method), one)
        code = handler.code if handler.code.startswith(here) else known.handler.code
        answers = one.answers if known is one else tuple(map(int.__add__, known.answers, one.answers))
        found[handler.app, handler.name, handler.method] = Handled(
            handler._replace(code=code.removeprefix(here)),
            one.duration_s + (0.0 if known is one else known.duration_s),
            one.body_bytes,
            answers,
        )
    return list(found.values())


def _count(one: Handled) -> int:
    return sum(one.answers)


def _p99(one: Handled) -> float:
    return quantile(one.by_duration(), 0.99) or 0.0


def _name(one: Handled) -> str:
    handler = one.handler
    where = " · ".join(filter(None, [handler.app, handler.code]))
    below = f'<div class="quiet">{escape(where)}</div>' if where else ""
    return f"<code>{escape(f'{handler.method} {handler.name}'.strip())}</code>{below}"


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> str:
    if not rows:
        return f'<div class="card"><h2>{title}</h2><p class="quiet">{nothing}</p></div>'
    head = "".join(f'<th scope="col"{" class=number" if number else ""}>{one}</th>' for number, one in enumerate(heads))
    body = "".join(
        f'<tr><th scope="row" class="wide">{row[0]}</th>'
        + "".join(
            f'<td class="number" data-label="{one}">{cell}</td>' for one, cell in zip(heads[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="card"><h2>{title}</h2><table class="handlers"><caption class="unseen">{title}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
