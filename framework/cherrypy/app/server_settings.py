"""What may be assigned to the settings of a server: one table, asked at every assignment.

Numbers may be given as text: environment variables are. The settings keep what was given; ``number`` reads them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import Any, NamedTuple

from cherrypy.app.server_limits import number
from cherrypy.app.server_tls import MODULES, adapter_class, is_certificates
from cherrypy.http.forwarded import Trust
from cherrypy.httpd.credentials import CLIENT_VERIFY

__all__ = ["MOST_THREADS", "RULES", "as_networks", "check", "number", "permissions"]

MOST_THREADS = 10_000


class Rule(NamedTuple):
    """What a setting accepts, and how to say so."""

    accepts: Callable[[Any], bool]
    allowed: str


def _number(least: float, most: float = float("inf")) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        try:
            return least <= number(value) <= most
        except ValueError:
            return False

    return accepts


def _whole(least: int, most: float = float("inf")) -> Callable[[Any], bool]:
    is_number = _number(least, most)
    return lambda value: is_number(value) and float(number(value)).is_integer()


def _optional(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or accepts(value)


def permissions(value: Any) -> int:
    """The permissions that ``socket_mode`` stands for; text is octal, as for chmod: '660', '0660', '0o660'.

    Raises:
        ValueError: it stands for none.
    """
    return int(value, 8) if isinstance(value, str) else int(number(value))


def _is_mode(value: Any) -> bool:
    try:
        return _whole(0, 0o7777)(permissions(value))
    except (ValueError, TypeError):
        return False


def _is_descriptor(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_descriptor, value))
    return (isinstance(value, str) and value != "") or (type(value) is int and value >= 0)


def _is_owner(value: Any) -> bool:
    return (isinstance(value, str) and value != "") or (type(value) is int and value >= 0)


def _is_trust(value: Any) -> bool:
    try:
        Trust(value or ())
    except (ValueError, TypeError):
        return False
    return True


_TEXT = Rule(lambda value: value is None or isinstance(value, str), "text, or None")
_PATH = Rule(lambda value: value is None or isinstance(value, str | os.PathLike), "the path of a file, or None")
_OCTETS = Rule(_optional(_whole(0)), "a whole number of octets, 0 for no limit")
# What is no object with methods of its own.
_VALUES = (int, float, bytes, list, tuple, dict, set)
_SWITCH = Rule(lambda value: value in (True, False, None), "True or False")
_SECONDS = Rule(
    _optional(lambda value: _number(0)(value) and number(value) > 0), "seconds, more than 0; None: see socket_timeout"
)
_RATE = Rule(_whole(0), "a number of octets a second; 0 for no limit")
_COUNT = Rule(_whole(0), "a whole number; 0 for no limit")
_OWNER = Rule(_optional(_is_owner), "a name or a number, or None")

RULES: dict[str, Rule] = {
    "socket_host": Rule(
        lambda value: value is None or (isinstance(value, str) and value != ""),
        "an address or a name to listen on; '0.0.0.0' instead of '' for all IPv4 interfaces (INADDR_ANY), '::' for all "
        "interfaces, or None",
    ),
    "socket_port": Rule(_optional(_whole(0, 65535)), "a TCP port from 0 (any free one) to 65535, or None"),
    "socket_file": _PATH,
    "socket_mode": Rule(_optional(_is_mode), "permissions such as 0o660 or '660', or None for the umask's"),
    "socket_user": _OWNER,
    "socket_group": _OWNER,
    "socket_fd": Rule(
        _optional(_is_descriptor), "a descriptor, a name out of LISTEN_FDNAMES, or a list of these; or None"
    ),
    "reuse_port": _SWITCH,
    "proxy_protocol": Rule(
        lambda value: value is None or (not isinstance(value, bool) and _is_trust(value)),
        "addresses, networks such as '10.0.0.0/8', and 'unix:', whose connections begin with a PROXY header "
        "(['0.0.0.0/0', '::/0', 'unix:'] for everybody's); or None",
    ),
    "proxy_protocol_others": Rule(
        lambda value: value in ("refuse", "plain"), "'refuse' to close other connections, 'plain' to take them"
    ),
    "socket_queue_size": Rule(_whole(0), "a number of connections from 0"),
    "socket_timeout": Rule(
        lambda value: value is None or (_number(0)(value) and number(value) > 0), "seconds, more than 0; None for ever"
    ),
    "accepted_queue_size": Rule(_optional(_whole(-1)), "a number of requests; -1 for no limit"),
    "accepted_queue_timeout": Rule(_optional(_number(0)), "seconds from 0"),
    "statistics": _SWITCH,
    "nodelay": _SWITCH,
    "peercreds": _SWITCH,
    "peercreds_resolve": _SWITCH,
    "instance": Rule(
        lambda value: value.strip() != "" if isinstance(value, str) else not isinstance(value, _VALUES),
        "an HTTP server object (with start, stop and ready), the dotted name of what makes one, or None",
    ),
    "shutdown_timeout": Rule(_optional(_number(float("-inf"))), "seconds; None, or less than 0, for ever"),
    "protocol_version": Rule(lambda value: value in ("HTTP/1.1", "HTTP/1.0"), "'HTTP/1.1' or 'HTTP/1.0'"),
    "thread_pool": Rule(_optional(_whole(0, MOST_THREADS)), f"a number of threads from 1 to {MOST_THREADS}"),
    "thread_pool_max": Rule(_optional(_whole(-1, MOST_THREADS)), f"a number of threads up to {MOST_THREADS}, or -1"),
    "max_request_header_size": _OCTETS,
    "max_request_body_size": _OCTETS,
    # Lines of up to 256 octets are looked up as a whole, whatever server of the process has seen them first.
    "max_request_line_size": Rule(
        _optional(lambda value: _whole(256)(value) or _whole(0, 0)(value)), "octets from 256; 0 for no limit"
    ),
    "max_request_headers": _COUNT,
    "request_header_timeout": _SECONDS,
    "request_body_timeout": _SECONDS,
    "max_request_body_time": Rule(_number(0), "seconds; 0 for no limit"),
    "min_request_body_rate": _RATE,
    "keep_alive_timeout": _SECONDS,
    "max_requests_per_connection": _COUNT,
    "response_timeout": _SECONDS,
    "min_response_rate": _RATE,
    "ssl_handshake_timeout": Rule(lambda value: value is not None and _SECONDS.accepts(value), "seconds, more than 0"),
    "max_connections": _COUNT,
    "retry_after": Rule(_whole(0), "a whole number of seconds"),
    "body_memory": Rule(_whole(0), "octets from 0"),
    "body_memory_size": Rule(_whole(0), "octets from 0"),
    "body_spool_memory": Rule(_whole(0), "octets from 0"),
    "body_spool_size": Rule(_whole(0), "octets; 0 for no limit"),
    "body_spool_dir": Rule(
        lambda value: value is None or (isinstance(value, str | os.PathLike) and os.path.isdir(value)),
        "the path of a directory that is there, or None for the system's",
    ),
    "waiting_threads": Rule(_whole(0, MOST_THREADS), f"a number of threads from 0 to {MOST_THREADS}"),
    "ssl_module": Rule(
        lambda value: value in MODULES or adapter_class(value) is not None,
        "'builtin', 'pyopenssl' (the same here), or None: TLS is the standard library's; or a class of your own that "
        "is called with (certificate, key, chain, ciphers) and makes objects with a 'context', or its dotted name",
    ),
    "ssl_adapter": Rule(
        lambda value: value is None or isinstance(getattr(value, "context", None), SSLContext),
        "an object whose attribute 'context' is an ssl.SSLContext, or None",
    ),
    "ssl_context": Rule(lambda value: value is None or isinstance(value, SSLContext), "an ssl.SSLContext, or None"),
    "ssl_certificate": _PATH,
    "ssl_certificate_chain": _PATH,
    "ssl_private_key": _PATH,
    "ssl_ciphers": _TEXT,
    "ssl_certificates": Rule(
        is_certificates,
        "{name: files} or a list of files, where files is (certificate, key), (certificate, key, chain), or the path "
        "of one file with all of it; or None",
    ),
    "ssl_client_ca": _PATH,
    "ssl_client_verify": Rule(
        lambda value: value is None or (isinstance(value, str) and value in CLIENT_VERIFY),
        "'required', 'optional', 'none', or None for 'required' with ssl_client_ca",
    ),
    "wsgi_version": Rule(lambda value: value in ((1, 0), ("u", 0)), "(1, 0) or ('u', 0)"),
    "trusted_proxies": Rule(_is_trust, "addresses, networks such as '10.0.0.0/8', and 'unix:'; or None"),
}


def as_networks(value: Any) -> Any:
    """``trusted_proxies`` as a list: of text it takes what commas or blanks separate."""
    if isinstance(value, str):
        return [part for part in re.split(r"[,\s]+", value) if part]
    return list(value) if isinstance(value, Iterable) else value


def check(namespace: str, name: str, value: Any) -> None:
    """Let pass what the setting *name* of the server that is configured as *namespace* may be.

    Raises:
        ValueError: it may not; the text says what was given, to which key, and what is allowed.
    """
    rule = RULES.get(name)
    if rule is not None and not rule.accepts(value):
        raise ValueError(f"{namespace}.{name} is {value!r}, which is not an allowed value. Allowed: {rule.allowed}.")
