"""What an application believes of a request: the answer that `kirsch check --probe` gets through the public vhost.

Law: nobody may ask who cannot write into the host's run directory. A question names a token, and a file of that name
has to be there; it is removed when the asking is over.
"""

from __future__ import annotations

import re
import secrets

import msgspec

PROBE_PATH = "/.kirsch/probe/"
"""Below each app's mount."""

_TOKEN = re.compile(r"[0-9a-f]{32}\Z")


class Value(msgspec.Struct, kw_only=True, frozen=True):
    """One key of a page's configuration, and where it stands."""

    key: str
    value: str
    level: str


class Explained(msgspec.Struct, kw_only=True, frozen=True):
    """What an application would do with a path."""

    handler: str
    arguments: list[str]
    config: list[Value]


class Belief(msgspec.Struct, kw_only=True, frozen=True):
    """Who asked, and for what, as the application sees it."""

    base: str
    """Scheme, host and port that its links begin with."""
    remote: str
    scheme: str
    fields: dict[str, str] = {}
    """The header fields as they reached it, names in lower case."""
    worker: str = ""
    explained: Explained | None = None
    """Of the path that was asked about."""


def make_token() -> str:
    """Return a name that nobody guesses."""
    return secrets.token_hex(16)


def token_file(socket_dir: str, token: str) -> str | None:
    """Return the file that makes *token* good; None for what is no token.

    ``token_file("/run/kirsch/shop/workers", "00…ff") == "/run/kirsch/shop/workers/probe.00…ff"``.
    """
    return f"{socket_dir}/probe.{token}" if _TOKEN.match(token) else None
