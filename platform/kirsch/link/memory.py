"""What of a hub outlives it, in a file: the highest token, leases, settings, and who was there."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import msgspec

from kirsch.link.hub import GRACE_S, Hub
from kirsch.link.leases import Entry
from kirsch.link.state import write_whole
from kirsch.link.wire import Member

log = logging.getLogger(__name__)

#: Tokens that are skipped when the file was lost or cannot be read: no token may be given twice.
LOST_TOKENS = 1_000_000


class Known(msgspec.Struct, kw_only=True):
    """A member with the channels that it had opened."""

    member: Member
    opened: tuple[str, ...] = ()


class Memory(msgspec.Struct, kw_only=True):
    """The file."""

    boot: str
    """Which start of the machine: its clock is another one after the next."""
    last_token: int = 0
    leases: dict[str, Entry] = {}
    settings: dict[str, dict[str, Any]] = {}
    members: tuple[Known, ...] = ()


def now() -> float:
    """Seconds since the machine's start, its sleep included: nobody can set this clock, and all processes share it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Return what names this start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def remember(path: str, hub: Hub, boot: str) -> None:
    """Write down what the next hub has to know."""
    memory = Memory(
        boot=boot,
        last_token=hub.leases.last_token,
        leases=hub.leases.entries,
        settings=hub.settings,
        members=tuple(
            Known(member=seat.member, opened=tuple(seat.opened)) for seat in hub.seats.values() if seat.member.pid
        ),
    )
    try:
        write_whole(path, msgspec.json.encode(memory))
    except OSError as error:
        log.error("bus: %s cannot be written: %s", path, error)


def recall(path: str, hub: Hub, boot: str) -> None:
    """Have a new hub go on where the one before ended."""
    try:
        memory = msgspec.json.decode(Path(path).read_bytes(), type=Memory)
    except FileNotFoundError:
        return
    except (OSError, msgspec.MsgspecError) as error:
        hub.leases.last_token = LOST_TOKENS + int(time.time())
        log.error("bus: %s cannot be read, tokens go on at %d: %s", path, hub.leases.last_token, error)
        return
    hub.leases.last_token = memory.last_token
    hub.settings.update(memory.settings)
    for name, entry in memory.leases.items():
        if memory.boot != boot:
            entry.holder, entry.until, entry.begun = "", 0.0, None
        elif entry.holder:
            # its holder could not renew it while there was no hub
            entry.until = max(entry.until, now() + GRACE_S)
        hub.leases.entries[name] = entry
    if memory.boot == boot:
        for known in memory.members:
            if Path(f"/proc/{known.member.pid}").exists():
                hub.expect(known.member, known.opened)
            else:
                hub.leases.release_all(known.member.id)
