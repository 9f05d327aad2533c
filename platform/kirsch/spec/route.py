"""What the operator wrote about one part of an app: how long, how large, how often, for whom, kept for how long."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kirsch.spec.guard import Auth, Rate
from kirsch.spec.name import Seconds
from kirsch.spec.network import Network
from kirsch.spec.size import Bytes

CACHE_RULE = "true (a second), or a table { valid_s = 60, ignore_cookies = true }"
# '.' and '..' as segments and '//' never reach a location: nginx resolves them, or the app's mount ends before them;
# what nginx has for itself is below /.kirsch and in the folder of challenges
ROUTE_PATTERN = (
    r"^(?!/\.kirsch(?:/|\Z)|/\.well-known/acme-challenge(?:/|\Z))"
    r"(?:/(?!\.{1,2}(?:/|\Z))[^\x00-\x1f\x7f-\x9f$/?\ud800-\udfff]+)+\Z"
)
RoutePath = Annotated[
    str,
    msgspec.Meta(
        pattern=ROUTE_PATTERN,
        max_length=500,
        description=(
            'a path below the mount, as it is when decoded, for itself and all below it: "/live", "/a b"; without an '
            "empty segment, '.' or '..', '$' and '?', nginx's own /.kirsch and a slash at its end"
        ),
    ),
]
Connections = Annotated[int, msgspec.Meta(ge=1, le=100000, description="a number from 1 to 100000")]


class Cache(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Answers that nginx keeps: those to GET and HEAD without cookies and credentials, 200, 301, 302 and 404."""

    valid_s: Annotated[int, msgspec.Meta(ge=1, le=2592000, description="whole seconds, 1 to 30 days (2592000)")] = 1
    """For how long, where the answer itself does not say it (Cache-Control, Expires)."""
    ignore_cookies: bool = False
    """Take requests with cookies for those without: only for pages that look alike to everybody."""

    @classmethod
    def parse(cls, value: object) -> Cache:
        """Read ``true``.

        Raises:
            ValueError: with the rule as its text.
        """
        if value is not True:
            raise ValueError(CACHE_RULE)
        return cls()


class Route(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One path of an app and what holds there; what is not said is as everywhere in the app."""

    kind: Literal["page", "stream", "events", "websocket", "upload"] = "page"
    """``stream`` and ``events`` are handed on as they come, ``websocket`` stays open, ``upload`` reaches the app while
    it still comes in."""
    max_body: Bytes | None = None
    """The largest request body that is let through; None for the vhost's."""
    timeout_s: Seconds | None = None
    """How long nginx waits for the app to say something. None: the pool's deadline and a little more; an hour for
    events and WebSockets."""
    rate: Rate | None = None
    connections: Connections | None = None
    """How many connections one client may have here at a time."""
    cache: Cache | None = None
    auth: Auth | None = None
    allow: tuple[Network, ...] = ()
    """Who may come; everybody else gets 403."""
    deny: tuple[Network, ...] = ()
    """Who may not."""
    log: bool = True
    """A line in the access log for each request."""
