"""HTTP dates, written in the one form of today and read in all three forms of history.

Source: RFC 9110 section 5.6.7.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime
from email.utils import formatdate

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}

_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMS = (
    # Sun, 06 Nov 1994 08:49:37 GMT
    re.compile(r"\w{3}, (?P<day>\d\d) (?P<month>\w{3}) (?P<year>\d{4}) " + _CLOCK + r" GMT", re.ASCII),
    # Sunday, 06-Nov-94 08:49:37 GMT
    re.compile(r"\w{6,9}, (?P<day>\d\d)-(?P<month>\w{3})-(?P<year>\d\d) " + _CLOCK + r" GMT", re.ASCII),
    # Sun Nov  6 08:49:37 1994
    re.compile(r"\w{3} (?P<month>\w{3}) (?P<day>[ \d]\d) " + _CLOCK + r" (?P<year>\d{4})", re.ASCII),
)

_last: tuple[int, str] = (0, "Thu, 01 Jan 1970 00:00:00 GMT")


def HTTPDate(timeval: float | None = None) -> str:
    """Write seconds since the epoch (default: now) as a header value.

    >>> HTTPDate(784111777)
    'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    global _last
    if timeval is None:
        return formatdate(usegmt=True)
    second = int(timeval // 1)
    remembered = _last
    # PERF: most calls of one second ask for the same second (0.1 us against 2.5 us of email.utils)
    if remembered[0] == second:
        return remembered[1]
    moment = datetime.fromtimestamp(second, UTC)
    text = (
        f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} GMT"
    )
    _last = (second, text)
    return text


def parse_date(text: str | None) -> int | None:
    """Read an HTTP date in any of its three forms.

    Returns:
        Seconds since the epoch; None for anything that is not a date.

    >>> parse_date('Sunday, 06-Nov-94 08:49:37 GMT')
    784111777
    """
    if not text or len(text) > 40:
        return None
    for form in _FORMS:
        match = form.fullmatch(text.strip(" \t"))
        if match is not None:
            return _seconds(match)
    return None


def _seconds(match: re.Match[str]) -> int | None:
    month = _MONTH_NUMBERS.get(match["month"])
    if month is None:
        return None
    year = int(match["year"])
    if year < 100:
        # RFC 9110 asks for "not more than 50 years ahead"; a fixed pivot needs no clock and holds until 2069
        year += 2000 if year < 70 else 1900
    second = min(int(match["second"]), 59)  # a leap second is the end of its minute
    try:
        moment = datetime(year, month, int(match["day"]), int(match["hour"]), int(match["minute"]), second)
    except ValueError:
        return None
    return calendar.timegm(moment.timetuple())
