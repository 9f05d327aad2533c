"""The last failed requests on the status page."""

from __future__ import annotations

from html import escape

from kirsch.observe.captures import Capture
from kirsch.observe.view import StackView
from kirsch.observe.words import clock, milliseconds, pill


def render_failures(view: StackView) -> str:
    """Return the requests that were answered with 5xx last, and how to learn more of one."""
    if not view.failures:
        return '<div class="card"><h2>Recent failures</h2><p class="quiet">No request has failed.</p></div>'
    rows = "".join(map(_failure, view.failures))
    return (
        '<div class="card"><header><h2>Recent failures</h2><p class="quiet"><code>kirsch why ID</code> says more</p>'
        f'</header><ol class="story" tabindex="0" aria-label="Recent failures">{rows}</ol></div>'
    )


def _failure(one: Capture) -> str:
    facts = [one.handler, one.worker, one.release, milliseconds(1000 * one.duration_s)]
    line = escape(f"{one.method} {one.target}")
    said = f"<p>{escape(one.exception)}</p>" if one.exception else ""
    return (
        f"<li>{clock(one.at)}<div>{pill(str(one.status), 'bad')} <code>{line}</code>{said}"
        f'<p class="quiet">{escape(" · ".join(filter(None, facts)))} · <code class="id">{escape(one.id)}</code></p>'
        "</div></li>"
    )
