"""Settings that bound what clients may send and how long they may take: their names, and those of ``httpd``'s limits.

``socket_timeout`` and ``max_request_header_size`` are CherryPy's and set several limits at once; each setting here
sets one, and wins over them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cherrypy.httpd.limits import Limits

# "Unlimited", where settings say 0 or None.
BOUNDLESS = 1 << 40


class LimitKey(NamedTuple):
    """One setting that is one limit.

    Attributes:
        field: of ``Limits``.
        is_time: the setting is in seconds, where None stands for whatever ``socket_timeout`` says, or the default.
        zero: what the limit is if the setting is 0; None: 0 is not special, or not allowed.
    """

    field: str
    is_time: bool = False
    zero: int | None = None


LIMIT_KEYS: dict[str, LimitKey] = {
    "max_request_line_size": LimitKey("request_line_bytes", zero=BOUNDLESS),
    "max_request_headers": LimitKey("fields", zero=BOUNDLESS),
    "request_header_timeout": LimitKey("head_s", is_time=True),
    "request_body_timeout": LimitKey("body_grace_s", is_time=True),
    "max_request_body_time": LimitKey("body_s", is_time=True, zero=BOUNDLESS),
    "min_request_body_rate": LimitKey("body_rate_bytes_per_s"),
    "keep_alive_timeout": LimitKey("idle_s", is_time=True),
    "max_requests_per_connection": LimitKey("requests"),
    "response_timeout": LimitKey("write_grace_s", is_time=True),
    "min_response_rate": LimitKey("write_rate_bytes_per_s"),
    "ssl_handshake_timeout": LimitKey("handshake_s", is_time=True),
    "max_connections": LimitKey("connections", zero=BOUNDLESS),
    "accepted_queue_size": LimitKey("queued"),
    "accepted_queue_timeout": LimitKey("queue_s", is_time=True),
    "retry_after": LimitKey("retry_after_s"),
    "body_memory": LimitKey("body_memory_bytes"),
    "body_memory_size": LimitKey("bodies_memory_bytes"),
    "body_spool_memory": LimitKey("spool_memory_bytes"),
    "body_spool_size": LimitKey("spool_bytes", zero=BOUNDLESS),
    "waiting_threads": LimitKey("waiting_threads"),
}


def number(value: Any) -> float:
    """The number that a setting stands for: 5, 5.0 or '5'.

    Raises:
        ValueError: it stands for none.
    """
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return int(value) if value.strip().lstrip("-").isdecimal() else float(value)
    raise ValueError(f"{value!r} is no number")


def set_limits(limits: Limits, adapter: Any) -> None:
    """Set what the settings of *adapter* say for themselves; None leaves a limit as it is."""
    for name, key in LIMIT_KEYS.items():
        given = getattr(adapter, name, None)
        if given is None:
            continue
        value = number(given)
        if not value and key.zero is not None:
            value = key.zero
        setattr(limits, key.field, float(value) if key.is_time else int(value))
    limits.spool_directory = getattr(adapter, "body_spool_dir", None) or limits.spool_directory
