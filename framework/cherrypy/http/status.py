"""The status codes, their reasons and explanations."""

from __future__ import annotations

import re
from http import HTTPStatus

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

RESPONSE_CODES: dict[int, tuple[str, str]] = {
    **{int(one): (one.phrase, one.description) for one in HTTPStatus},
    # COMPAT: newer Pythons renamed these; CherryPy's documented texts, and its tests, know the old names.
    413: ("Request Entity Too Large", "Entity is too large"),
    414: ("Request-URI Too Long", "URI is too long"),
    416: ("Requested Range Not Satisfiable", "Cannot satisfy request range"),
    422: ("Unprocessable Entity", ""),
    500: (
        "Internal Server Error",
        "The server encountered an unexpected condition which prevented it from fulfilling the request.",
    ),
    503: (
        "Service Unavailable",
        "The server is currently unable to handle the request due to a temporary overloading "
        "or maintenance of the server.",
    ),
}


def valid_status(status: object) -> tuple[int, str, str]:
    """Complete *status* to (code, reason, explanation).

    Takes a number, '404', '404 No such book', or nothing for 200. Reason and explanation of an unknown code are ''.

    >>> valid_status('404 No such book')
    (404, 'No such book', 'Nothing matches the given URI')

    Raises:
        ValueError: not a number, outside 100-599, or a reason with control characters.
    """
    reason = None
    if not status:
        status = 200
    if isinstance(status, bytes):
        status = status.decode("latin-1")
    if isinstance(status, int | float):
        code = int(status)
    else:
        number, _, rest = status.partition(" ") if isinstance(status, str) else (status, "", "")
        reason = rest.strip() or None
        if not (isinstance(number, str) and number.isascii() and number.removeprefix("-").isdigit()):
            raise ValueError(f"Illegal response status from server ({number!r} is non-numeric).")
        code = int(number)
        if reason is not None and _CONTROLS.search(reason):
            # SECURITY: a line end in it would begin a header, or another response
            raise ValueError(f"Illegal response status from server (the reason {reason!r} has control characters).")
    if not 100 <= code <= 599:
        raise ValueError(f"Illegal response status from server ({code!r} is out of range).")
    default_reason, message = RESPONSE_CODES.get(code, ("", ""))
    return code, default_reason if reason is None else reason, message
