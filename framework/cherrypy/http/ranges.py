"""The Range header: which slices of a representation a client asks for."""

from __future__ import annotations

import re

_SPEC = re.compile(r"(\d*)-(\d*)", re.ASCII)

# Enough for any reader of documents, too few to make a server seek all day.
MAX_RANGES = 64


def get_ranges(headervalue: str | None, content_length: int) -> list[tuple[int, int]] | None:
    """Read a Range header against a representation of *content_length* octets.

    Returns:
        (start, stop) pairs, *stop* exclusive, as for slices and in the order asked;
        [] when none of them lies inside (the answer is 416);
        None when the header is absent, malformed, of another unit, or asks for more than the whole (the answer is 200).

    >>> get_ranges('bytes=2-4,-1', 8)
    [(2, 5), (7, 8)]

    SECURITY: overlapping ranges multiply the answer (CVE-2011-3192).
    Source: RFC 9110 sections 14.1.2 and 14.2.
    """
    if not headervalue:
        return None
    unit, equals, specs = headervalue.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    result = []
    parts = [part.strip(" \t") for part in specs.split(",")]
    if len(parts) > MAX_RANGES:
        return None
    for part in parts:
        if not part:
            continue
        match = _SPEC.fullmatch(part)
        if match is None or len(part) > 64:
            return None
        first, last = match.groups()
        if first:
            start, stop = int(first), int(last) + 1 if last else content_length
            if last and stop <= start:
                return None
        elif last:
            start, stop = max(content_length - int(last), 0), content_length
        else:
            return None
        if start < content_length and start < stop:
            result.append((start, min(stop, content_length)))
    if not any(parts):
        return None
    if len(result) > 1 and sum(stop - start for start, stop in result) > content_length:
        return None
    return result
