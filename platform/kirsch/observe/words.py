"""Numbers, spans and pills as the status page says them; every value escaped, nothing decided."""

from __future__ import annotations

import time
from html import escape

#: What stands where there is nothing to say: a dash.
NOTHING = "\N{EN DASH}"


def span(seconds: float) -> str:
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


def milliseconds(value: float | None) -> str:
    """Say a latency with as many digits as can be meant: ``0.8 ms``, ``12 ms``, ``1.4 s``; a dash for none."""
    if value is None:
        return NOTHING
    if value >= 1000:
        return f"{value / 1000:.1f} s" if value < 10_000 else f"{value / 1000:.0f} s"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def rate(value: float) -> str:
    """Say a number a second: ``1,204``, ``12.5``, ``0``."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 0.1 else f"{value:.2f}"


def percent(part: float, whole: float) -> str:
    """Say a share: ``0 %``, ``< 0.01 %``, ``0.02 %``, ``12 %``; plain text, to be escaped."""
    value = 100 * part / whole if whole else 0.0
    if value == 0:
        return "0 %"
    if value < 0.01:
        return "< 0.01 %"
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %" if value >= 0.1 else f"{value:.2f} %"


def mebibytes(octets: int) -> str:
    """Say an amount of memory: ``41 MiB``, ``1.2 GiB``; a dash for none."""
    if not octets:
        return NOTHING
    return f"{octets / 2**30:.1f} GiB" if octets >= 2**30 else f"{octets / 2**20:.0f} MiB"


def count(number: int, one: str, more: str | None = None) -> str:
    """Say how many: ``1 worker``, ``3 workers``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def clock(at: float) -> str:
    """Say a moment of today, or of another day, by the clock of this machine; a ``time`` element."""
    local = time.localtime(at)
    is_today = local[:3] == time.localtime()[:3]
    shown = time.strftime("%H:%M:%S" if is_today else "%d %b %H:%M", local)
    return f'<time datetime="{time.strftime("%Y-%m-%dT%H:%M:%S%z", local)}">{shown}</time>'


def pill(word: str, kind: str, title: str = "") -> str:
    """Return a state: by its word and by its colour; *kind* is good, wait, bad, aside or quiet."""
    tip = f' title="{escape(title)}"' if title else ""
    return f'<span class="pill {kind}"{tip}>{escape(word)}</span>'
