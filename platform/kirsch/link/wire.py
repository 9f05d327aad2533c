"""What hub and peers say to each other: one JSON object a line, told apart by ``op``.

Law: nothing but JSON values, bounded in size; what a line holds is checked before anybody acts on it, and the values of
applications (``args``, ``value``) are carried as they came, never looked into.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from kirsch.errors import BusError

MESSAGE_LIMIT_BYTES = 256 * 2**10
"""The longest line; a message with everything around it."""
NAME_LIMIT = 200
DEPTH_LIMIT = 50

Scope = Literal["host", "cluster"]


class Member(msgspec.Struct, kw_only=True, frozen=True):
    """One process on the bus, as all others see it."""

    name: str
    """``web.1``."""
    host: str = ""
    pool: str = ""
    pid: int = 0
    generation: int = 0
    state: str = "booting"
    since: float = 0.0
    """Unix time of its joining; the oldest one that is ready leads."""

    @property
    def id(self) -> str:
        """``web.1@alpha:4242``: one process, never two."""
        return f"{self.name}@{self.host}:{self.pid}"


class Frame(msgspec.Struct, kw_only=True, tag_field="op", omit_defaults=True):
    """A line."""


# From a peer


class Hello(Frame, tag="hello"):
    """Who it is and which channels it lets in; first of all."""

    member: Member
    opened: tuple[str, ...] = ()


class Open(Frame, tag="open"):
    """It lets these in as well."""

    channels: tuple[str, ...]


class State(Frame, tag="state"):
    """It is in another state."""

    state: str


class Send(Frame, tag="send"):
    """A message for everybody in *scope* who has opened *channel*, or for *to* alone."""

    id: str
    channel: str
    args: msgspec.Raw = msgspec.Raw(b"[]")
    scope: Scope = "cluster"
    to: tuple[str, ...] | None = None
    """Ids or names of members."""
    timeout_s: float = 5.0
    gathers: bool = False
    """True where replies are wanted."""


class Done(Frame, tag="done"):
    """Messages that were delivered without an error."""

    ids: tuple[str, ...]


class Failed(Frame, tag="failed"):
    """A message whose listener failed, or that was refused."""

    id: str
    why: str


class Reply(Frame, tag="reply"):
    """What the listeners of a message have returned: an array, as ``engine.publish`` returns it."""

    id: str
    value: msgspec.Raw


class Take(Frame, tag="take"):
    """It wants a lease: for *ttl_s*, at most once in *every_s* seconds, or once for each *slot* (they rise)."""

    id: str
    lease: str
    scope: Scope = "cluster"
    ttl_s: float = 10.0
    every_s: float = 0.0
    slot: float | None = None


class Renew(Frame, tag="renew"):
    """It goes on holding a lease."""

    id: str
    lease: str
    token: int
    scope: Scope = "cluster"
    ttl_s: float = 10.0


class Release(Frame, tag="release"):
    """It needs a lease no longer."""

    id: str
    lease: str
    token: int
    scope: Scope = "cluster"


class Count(Frame, tag="count"):
    """It counts one more of *key* in this window of *window_s* seconds."""

    id: str
    key: str
    window_s: float
    by: int = 1


class Bye(Frame, tag="bye"):
    """It leaves for good."""


# From the hub


class Welcome(Frame, tag="welcome"):
    """It has joined: as whom, among whom, under which settings."""

    member: Member
    members: tuple[Member, ...] = ()
    leader: str = ""
    settings: dict[str, dict[str, Any]] = {}
    degraded: str = ""


class Deliver(Frame, tag="deliver"):
    """A message; the same id means the same message."""

    id: str
    channel: str
    sender: str
    at: float
    """Unix time of its sending."""
    args: msgspec.Raw = msgspec.Raw(b"[]")
    gathers: bool = False


class Receipted(Frame, tag="receipted"):
    """What has become of a message."""

    id: str
    delivered: tuple[str, ...] = ()
    failed: dict[str, str] = {}
    """Member to why."""
    timed_out: tuple[str, ...] = ()
    replies: dict[str, msgspec.Raw] = {}
    degraded: str = ""
    """Why other hosts were not asked."""


class Granted(Frame, tag="granted"):
    """The answer to whoever wants a lease."""

    id: str
    granted: bool = False
    token: int = 0
    holder: str = ""
    why: str = ""


class Counted(Frame, tag="counted"):
    """How many there are in this window."""

    id: str
    count: int
    left_s: float = 0.0


class Changed(Frame, tag="changed"):
    """Who has come or changed, who has left, who leads, and whether other hosts can be reached."""

    joined: tuple[Member, ...] = ()
    left: tuple[str, ...] = ()
    leader: str = ""
    degraded: str = ""


FromPeer = Hello | Open | State | Send | Done | Failed | Reply | Take | Renew | Release | Count | Bye
FromHub = Welcome | Deliver | Receipted | Granted | Counted | Changed

_encoder = msgspec.json.Encoder()
_from_peer = msgspec.json.Decoder(FromPeer)
_from_hub = msgspec.json.Decoder(FromHub)


def encode(frame: Frame) -> bytes:
    """Return the line of a frame."""
    return _encoder.encode(frame) + b"\n"


def read_from_peer(line: bytes) -> FromPeer:
    """Return what a peer says.

    Raises:
        msgspec.MsgspecError: it is nothing that a peer may say.
    """
    frame: FromPeer = _from_peer.decode(line)
    return frame


def read_from_hub(line: bytes) -> FromHub:
    """Return what the hub says.

    Raises:
        msgspec.MsgspecError: it is nothing that a hub may say.
    """
    frame: FromHub = _from_hub.decode(line)
    return frame


def pack(value: Any, limit_bytes: int = MESSAGE_LIMIT_BYTES) -> msgspec.Raw:
    """Return the JSON of *value*: None, booleans, numbers, text, and lists and dicts of them.

    Raises:
        BusError: kind ``not_json`` with the place of what is none, or ``too_large``.
    """
    _refuse_others(value, "value", 0)
    data = _encoder.encode(value)
    if len(data) > limit_bytes - 1024:
        raise BusError(
            f"a message of {len(data)} octets is too large; allowed: {limit_bytes - 1024} (bus.message)",
            kind="too_large",
        )
    return msgspec.Raw(data)


def unpack(raw: msgspec.Raw) -> Any:
    """Return the value of some JSON."""
    return msgspec.json.decode(raw)


def check_channel(channel: object) -> str:
    """Return *channel*.

    Raises:
        BusError: kind ``bad_channel``: it is no name.
    """
    if not isinstance(channel, str) or not 0 < len(channel) <= NAME_LIMIT or not channel.isprintable():
        raise BusError(f"{channel!r} is no channel; allowed: up to {NAME_LIMIT} printable letters", kind="bad_channel")
    return channel


def _refuse_others(value: Any, where: str, depth: int) -> None:
    # SECURITY: what can be sent is what JSON has; msgspec alone would turn dates, sets and objects into something else
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float) and math.isfinite(value):
        return
    if depth > DEPTH_LIMIT:
        raise BusError(f"{where} lies deeper than {DEPTH_LIMIT} levels", kind="not_json")
    if isinstance(value, list | tuple):
        for place, one in enumerate(value):
            _refuse_others(one, f"{where}[{place}]", depth + 1)
        return
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, one in value.items():
            _refuse_others(one, f"{where}.{key}", depth + 1)
        return
    raise BusError(
        f"{where} is {value!r:.80}, which JSON does not have; allowed: None, booleans, finite numbers, text, and lists "
        "and dicts of them with text as keys",
        kind="not_json",
    )
