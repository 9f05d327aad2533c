"""What was done to a stack and what happened in it, who is on its bus, and what it is configured as."""

from __future__ import annotations

import calendar
import contextlib
import time
from collections.abc import Mapping
from html import escape
from typing import Any

from kirsch.observe.deploys import Deploy
from kirsch.observe.history import MARK_OF_EVENT
from kirsch.observe.view import StackView
from kirsch.observe.words import clock, count, pill, span

EVENTS_SHOWN = 40
MEMBERS_SHOWN = 40
OUTCOMES: Mapping[str, str] = {"done": "good", "unchanged": "quiet", "failed": "bad", "interrupted": "wait"}
KIND_OF_MARK: Mapping[str, str] = {"failure": "bad", "roll": "good", "start": "aside", "change": "wait"}
#: Said by the columns already, or of use to programs only.
_UNSAID = frozenset({"kind", "at", "worker", "pool", "message", "state", "report", "requests"})


def render_deploys(view: StackView) -> str:
    """Return the deploys of this host, the newest first, and how many rolls this supervisor has made."""
    rolls = ", ".join(f"{number} {outcome}" for outcome, number in view.rolls.items() if number)
    said = f'<p class="quiet">Rolls of this supervisor: {escape(rolls) or "none yet"}</p>'
    rows = "".join(map(_deploy, reversed(view.deploys)))
    listed = (
        f'<ol class="story" tabindex="0" aria-label="Deploys">{rows}</ol>'
        if rows
        else '<p class="quiet">Nothing was deployed here yet.</p>'
    )
    return f'<div class="card"><header><h2>Deploys</h2>{said}</header>{listed}</div>'


def _deploy(deploy: Deploy) -> str:
    at: float | None = None
    with contextlib.suppress(ValueError):
        at = calendar.timegm(time.strptime(deploy.at[:19], "%Y-%m-%dT%H:%M:%S"))
    was = f" from {deploy.previous}" if deploy.previous else ""
    said = f"{deploy.verb} {deploy.release}{was}, {span(deploy.took_s)}" + (f", by {deploy.by}" if deploy.by else "")
    why = f'<p class="quiet">{escape(deploy.reason)}</p>' if deploy.reason else ""
    return (
        f"<li>{clock(at) if at is not None else escape(deploy.at)}"
        f"<div>{pill(deploy.outcome, OUTCOMES.get(deploy.outcome, 'quiet'))} {escape(said)}{why}</div></li>"
    )


def render_events(view: StackView) -> str:
    """Return what happened last, the newest first."""
    rows = "".join(map(_event, reversed(view.events[-EVENTS_SHOWN:])))
    listed = (
        f'<ol class="story" tabindex="0" aria-label="Events">{rows}</ol>'
        if rows
        else '<p class="quiet">Nothing yet.</p>'
    )
    return f'<div class="card"><h2>What happened</h2>{listed}</div>'


def _event(event: Mapping[str, Any]) -> str:
    kind = str(event["kind"])
    who = event.get("worker") or event.get("pool") or ""
    rest = [str(event["message"])] if event.get("message") else []
    rest += [_detail(name, value) for name, value in event.items() if name not in _UNSAID]
    look = KIND_OF_MARK.get(MARK_OF_EVENT.get(kind, ""), "bad" if kind == "failed" else "quiet")
    said = escape(" · ".join(filter(None, [str(who), *rest])))
    return f"<li>{clock(event['at'])}<div>{pill(kind.replace('_', ' '), look)} {said}</div></li>"


def _detail(name: str, value: Any) -> str:
    """Say ``duration_s 0.41`` as a person does: ``0.4 s``."""
    if name == "duration_s":
        return span(float(value))
    return f"{name.replace('_', ' ')} {', '.join(map(str, value)) if isinstance(value, list) else value}"


def render_bus(view: StackView) -> str:
    """Return who is on the bus, and who holds what."""
    if not view.bus:
        return ""
    members, leases = view.bus.get("members", []), view.bus.get("leases", {})
    leader = view.bus.get("leader")
    state = (
        pill("degraded", "wait", str(view.bus["degraded"])) if view.bus.get("degraded") else pill("connected", "good")
    )
    rows = "".join(
        f"<li><code>{escape(str(name))}</code>{' ' + pill('leader', 'aside') if name == leader else ''}</li>"
        for name in [member["id"] for member in members[:MEMBERS_SHOWN]]
    )
    more = f'<li class="quiet">and {len(members) - MEMBERS_SHOWN} more</li>' if len(members) > MEMBERS_SHOWN else ""
    held = "".join(
        f"<li><code>{escape(name)}</code> held by <code>{escape(str(lease['holder']))}</code></li>"
        for name, lease in leases.items()
    )
    holds = f'<h3>Leases</h3><ul class="members">{held}</ul>' if held else ""
    counted = view.bus.get("counted", {})
    facts = [count(len(members), "member"), count(counted.get("messages", 0), "message")]
    facts += [
        f"{counted[name]:,} {name.replace('_', ' ')}"
        for name in ("failed", "timed_out", "dropped")
        if counted.get(name)
    ]
    return (
        f'<div class="card"><header><h2>Bus {state}</h2><p class="quiet">{" · ".join(facts)}</p></header>'
        f'<ul class="members">{rows}{more}</ul>{holds}</div>'
    )


def render_configuration(view: StackView) -> str:
    """Return what is in effect, defaults included, secrets left out."""
    if not view.configuration:
        return ""
    groups = "".join(
        f'<details id="in-effect-{number}"><summary>{escape(group.name)}</summary><dl class="lines">'
        + "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in group.lines)
        + "</dl>"
        + (f'<p class="quiet">and {group.more:,} more</p>' if group.more else "")
        + "</details>"
        for number, group in enumerate(view.configuration)
    )
    return (
        '<div class="card"><header><h2>Configuration in effect</h2>'
        f'<p class="quiet">defaults included, secrets hidden</p></header>{groups}</div>'
    )
