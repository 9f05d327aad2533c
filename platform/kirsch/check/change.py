"""What applying a stack would change on its host, as values: files of nginx, and what that does to connections."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kirsch.nginx.site import GENERATION_FILES
from kirsch.spec import Pool, Stack

_ZONE = re.compile(
    r"^ *(?:zone |limit_(?:req|conn)_zone .*zone=|proxy_cache_path .*keys_zone=)([A-Za-z0-9_]+)", re.MULTILINE
)
_PATIENCE = re.compile(r"^worker_shutdown_timeout ([^;]+);", re.M)
_LISTEN = re.compile(r"^ *listen ([^ ;]+)", re.M)


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of nginx's that would be another; *diff* are the lines of a unified diff, without its heading."""

    name: str
    what: str
    """``new``, ``gone`` or ``changed``."""
    diff: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PoolChange:
    """One pool that would be another: each key with its value before and after, as words."""

    name: str
    what: str
    keys: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Change:
    """Everything that an apply would do."""

    files: tuple[FileChange, ...]
    pools: tuple[PoolChange, ...]
    reload: bool
    """True when nginx would be reloaded; False when it goes on as it is."""
    patience: str
    """How long nginx's old processes finish what they have, as nginx writes it: ``90s``."""
    zones_new: tuple[str, ...]
    """Shared memory that begins empty: counters of rates, kept answers, states of workers."""
    zones_gone: tuple[str, ...]
    listen_new: tuple[str, ...]
    listen_gone: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """True when what runs is what the stack says."""
        return not self.files and not self.pools


def compare(before: Stack | None, after: Stack, old: Mapping[str, str], new: Mapping[str, str]) -> Change:
    """Hold what runs (*before*, and nginx's files *old*) against what the stack makes (*after*, *new*)."""
    files = tuple(_files(old, new))
    zones_old, zones_new = _found(_ZONE, old), _found(_ZONE, new)
    listen_old, listen_new = _found(_LISTEN, old), _found(_LISTEN, new)
    return Change(
        files=files,
        pools=tuple(_pools(before.pools if before is not None else {}, after.pools)),
        reload=bool(files) and bool(old),
        patience=next(iter(_found(_PATIENCE, old)), ""),
        zones_new=_less(zones_new, zones_old),
        zones_gone=_less(zones_old, zones_new),
        listen_new=_less(listen_new, listen_old),
        listen_gone=_less(listen_old, listen_new),
    )


def _files(old: Mapping[str, str], new: Mapping[str, str]) -> list[FileChange]:
    found = []
    for name in sorted({*old, *new} - GENERATION_FILES):
        one, other = old.get(name), new.get(name)
        if one == other:
            continue
        what = "new" if one is None else "gone" if other is None else "changed"
        if name.startswith("passwords/"):
            # SECURITY: hashes of passwords are nobody's to read on a screen
            found.append(FileChange(name, what, ()))
            continue
        lines = difflib.unified_diff((one or "").splitlines(), (other or "").splitlines(), n=2, lineterm="")
        found.append(FileChange(name, what, tuple(lines)[2:]))
    return found


def _pools(old: Mapping[str, Pool], new: Mapping[str, Pool]) -> list[PoolChange]:
    found = []
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old or name not in new:
            found.append(PoolChange(name, "new" if name in new else "gone", {}))
            continue
        keys = {
            key: (_word(getattr(old[name], key)), _word(getattr(new[name], key)))
            for key in Pool.__struct_fields__
            if getattr(old[name], key) != getattr(new[name], key)
        }
        if keys:
            found.append(PoolChange(name, "changed", keys))
    return found


def _word(value: object) -> str:
    # an environment holds secrets: which of its names changed is not worth showing one
    return "…" if isinstance(value, Mapping) and value else str(value)


def _found(pattern: re.Pattern[str], files: Mapping[str, str]) -> set[str]:
    return {word for text in files.values() for word in pattern.findall(text)}


def _less(some: set[str], others: set[str]) -> tuple[str, ...]:
    return tuple(sorted(some - others))
