"""Numbers as people read them."""

from __future__ import annotations

import pytest

from kirsch.observe.words import NOTHING, clock, count, mebibytes, milliseconds, percent, pill, rate, span


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (span(0.44), "0.4 s"),
        (span(-3), "0.0 s"),
        (span(320), "5 min 20 s"),
        (span(4 * 3600 + 3 * 86400 + 59), "3 d 4 h"),
        (milliseconds(None), NOTHING),
        (milliseconds(0.84), "0.8 ms"),
        (milliseconds(42.4), "42 ms"),
        (milliseconds(1420), "1.4 s"),
        (milliseconds(30_000), "30 s"),
        (rate(0), "0"),
        (rate(0.04), "0.04"),
        (rate(12.51), "12.5"),
        (rate(1204.4), "1,204"),
        (percent(0, 0), "0 %"),
        (percent(2, 812_002), "< 0.01 %"),
        (percent(1, 5000), "0.02 %"),
        (percent(1, 100), "1.0 %"),
        (percent(1, 8), "12 %"),
        (mebibytes(0), NOTHING),
        (mebibytes(41 * 2**20), "41 MiB"),
        (mebibytes(1_288_490_189), "1.2 GiB"),
        (count(1, "slot"), "1 slot"),
        (count(1200, "slot"), "1,200 slots"),
    ],
)
def test_numbers(said: str, words: str) -> None:
    """With as many digits as can be meant."""
    assert said == words


def test_pills_are_escaped() -> None:
    """Word and title."""
    assert pill("<b>", "good", '"&') == '<span class="pill good" title="&quot;&amp;">&lt;b&gt;</span>'


def test_moments_say_their_day_when_it_is_another() -> None:
    """With the whole of it for programs."""
    assert "1970" in clock(86400.0 * 5)
    assert "Jan" in clock(86400.0 * 5)
