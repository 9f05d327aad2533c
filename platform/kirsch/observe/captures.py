"""Failed requests that workers kept: the form of their files, how they are read, what is never kept.

A worker writes one file, ``RUN/workers/POOL.SEAT.PID.captures`` (0600), of a fixed number of slots of a fixed size: its
size is bounded, a write touches one slot, and what a killed worker kept is there still.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

SLOT_BYTES = 16384
SLOTS = 64
SUFFIX = ".captures"
FILES_KEPT = 4
"""Of each seat, those of ended workers included."""
CAPTURED_BODY_BYTES = 4096
HIDDEN = "***"
#: Header fields whose values are secrets; others are when their names say so.
SECRET_FIELDS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-forwarded-user"})
_SECRET_NAME = re.compile(r"token|secret|passw|api-?key|session|csrf|xsrf|signature|credential|auth", re.IGNORECASE)
_SECRET_WORD = re.compile(
    r"(?i)([?&;]|^)([^=&;]*(?:token|secret|passw|api_?-?key|session|signature|credential|auth)[^=&;]*)=[^&;]*"
)


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """One failed request. Values of secret header fields and parameters are ``***``."""

    id: str
    at: float
    """Unix time of its end."""
    worker: str
    release: str
    generation: int
    method: str
    target: str
    headers: list[tuple[str, str]]
    status: int
    duration_s: float
    handler: str = ""
    exception: str = ""
    """Last line of what was raised: ``ValueError: no such jam``."""
    body: bytes | None = None
    """Its begin, where the pool asks for bodies."""
    body_is_cut: bool = False

    @property
    def is_redacted(self) -> bool:
        """True when something that was sent is not here."""
        return any(value == HIDDEN for _, value in self.headers) or f"={HIDDEN}" in self.target


_decoder = msgspec.json.Decoder(Capture)


def redact_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return *headers* with ``***`` in place of every secret."""
    return [(name, HIDDEN if _is_secret(name) else value) for name, value in headers]


def redact_target(target: str) -> str:
    """Return *target* with ``***`` in place of parameters whose names say that they are secrets.

    >>> redact_target("/a?q=1&access_token=x1")
    '/a?q=1&access_token=***'
    """
    path, mark, query = target.partition("?")
    return path + mark + _SECRET_WORD.sub(rf"\1\2={HIDDEN}", query) if mark else target


def _is_secret(name: str) -> bool:
    return name.lower() in SECRET_FIELDS or bool(_SECRET_NAME.search(name))


def encode_slot(capture: Capture) -> bytes | None:
    """Return the octets of a slot; None when it does not fit."""
    text = msgspec.json.encode(capture)
    return text.ljust(SLOT_BYTES - 1) + b"\n" if len(text) < SLOT_BYTES else None


def load_captures(folder: str) -> list[Capture]:
    """Return what all workers of a run directory's *folder* kept, the newest first."""
    found = [one for path in Path(folder).glob(f"*{SUFFIX}") for one in _read(path)]
    return sorted(found, key=lambda one: one.at, reverse=True)


def prune_captures(folder: str, worker: str) -> None:
    """Remove the files of a seat's workers but those of the last few."""
    ages = sorted(((path.stat().st_mtime, path) for path in Path(folder).glob(f"{worker}.*{SUFFIX}")), reverse=True)
    for _, path in ages[FILES_KEPT:]:
        path.unlink(missing_ok=True)


def find_capture(folder: str, request_id: str) -> Capture | None:
    """Return the capture of one request."""
    return next((one for one in load_captures(folder) if one.id == request_id), None)


def _read(path: Path) -> Iterator[Capture]:
    try:
        data = path.read_bytes()[: SLOTS * SLOT_BYTES]
    except OSError:
        return  # gone meanwhile, or another user's
    for start in range(0, len(data), SLOT_BYTES):
        slot = data[start : start + SLOT_BYTES].rstrip(b"\0 \n")
        try:
            if slot:
                yield _decoder.decode(slot)
        except msgspec.DecodeError:
            continue  # being written just now
