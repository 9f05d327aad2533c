"""Files of ``prometheus_client`` whose process has ended: added up in one file a type, and removed.

Otherwise they stay for ever (one a process and type), and every scrape reads them all. What is kept:

==============================  ============================================================
counter, summary, histogram      added
gauge ``sum``                    added: it counts those who ended, as the library says
gauge ``min``, ``max``           the least, the largest
gauge ``mostrecent``             the one that was set last
gauge ``all``, ``live*``         dropped with the process whose they were
==============================  ============================================================

A change is either done or not, also when the supervisor is killed in it: what is to be replaced and removed is written
down before.

SECURITY: the folder belongs to the user whom the workers run as, and the supervisor may be root. It writes nothing
there: what is kept is beside it, in ``FOLDER.ended``. Of what it finds it reads plain files alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

ENDED = "ended"
_JOURNAL = "journal.json"
_NEW = ".new"
_LOCK = "lock"
_ADDED = frozenset({"counter", "summary", "histogram", "gauge_sum"})
_KEPT = _ADDED | {"gauge_min", "gauge_max", "gauge_mostrecent"}

Value = tuple[float, float]
"""A value, and when it was set."""


def kept_beside(folder: str) -> str:
    """Return where what is kept of *folder* is."""
    return f"{folder}.{ENDED}"


def prepare_kept(folder: str) -> None:
    """Make the place for what will be kept of *folder*, if there is none."""
    os.close(_open_lock(folder))


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Keep others from folding what is in *folder*, or from reading it meanwhile."""
    descriptor = _open_lock(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def files_of(folder: str) -> list[str]:
    """Return the files that hold a pool's numbers, those of the ended included; ask under the lock."""
    found = [*Path(folder).glob("*.db"), *Path(kept_beside(folder)).glob("*.db")]
    return sorted(str(path) for path in found if _is_whole(path))


def fold_ended(folder: str, is_alive: Callable[[int], bool]) -> int:
    """Add up the files of processes that are not alive; return how many files that were.

    Raises:
        OSError: it cannot be written what is kept.
    """
    if not os.path.isdir(folder):
        return 0
    with locked(folder):
        _finish(folder)
        dead = [name for name in sorted(os.listdir(folder)) if (pid := _pid_of(name)) is not None and not is_alive(pid)]
        if not dead:
            return 0
        kinds: dict[str, list[str]] = {}
        for name in dead:
            kinds.setdefault(_kind_of(name), []).append(name)
        kept = kept_beside(folder)
        targets = {f"{kind}_{ENDED}.db": names for kind, names in kinds.items() if kind in _KEPT}
        for target, names in targets.items():
            sources = [Path(kept, target), *[Path(folder, name) for name in names]]
            _write(os.path.join(kept, target + _NEW), _merge(_kind_of(target), sources))
        journal = Path(kept, _JOURNAL)
        Path(f"{journal}{_NEW}").write_text(json.dumps({"replaced": list(targets), "removed": dead}), encoding="utf-8")
        os.replace(f"{journal}{_NEW}", journal)
        _finish(folder)
        return len(dead)


def _open_lock(folder: str) -> int:
    kept = kept_beside(folder)
    os.makedirs(kept, mode=0o700, exist_ok=True)
    return os.open(os.path.join(kept, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _finish(folder: str) -> None:
    """Do what is written down, if it is not yet done."""
    kept = Path(kept_beside(folder))
    journal = kept / _JOURNAL
    if journal.exists():
        due = json.loads(journal.read_text(encoding="utf-8"))
        for name in due["replaced"]:
            if (kept / f"{name}{_NEW}").exists():
                os.replace(kept / f"{name}{_NEW}", kept / name)
        for name in due["removed"]:
            Path(folder, name).unlink(missing_ok=True)
        journal.unlink()
    for left in kept.glob(f"*{_NEW}"):  # of one who was killed before it was written down
        left.unlink()


def _merge(kind: str, sources: Sequence[Path]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for path in sources:
        for key, value, moment in _read(path):
            before = values.get(key)
            values[key] = (value, moment) if before is None else _join(kind, before, (value, moment))
    return values


def _join(kind: str, one: Value, other: Value) -> Value:
    if kind in _ADDED:
        return one[0] + other[0], max(one[1], other[1])
    if kind == "gauge_mostrecent":
        return max(one, other, key=lambda value: value[1])
    return (min if kind == "gauge_min" else max)(one, other)


def _read(path: Path) -> list[tuple[str, float, float]]:
    """Return keys, values and times of a file; nothing of one that its writer left torn."""
    if not _is_whole(path):
        return []
    try:
        found = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
        return [(key, value, moment) for key, value, moment, _ in found]
    except (OSError, RuntimeError, struct.error, UnicodeDecodeError):
        return []


def _is_whole(path: Path) -> bool:
    """True for a plain file that is not empty: one that was made this moment is."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def _write(path: str, values: dict[str, Value]) -> None:
    Path(path).unlink(missing_ok=True)
    file: Any = MmapedDict(path)  # type: ignore[no-untyped-call]
    try:
        for key, (value, moment) in values.items():
            file.write_value(key, value, moment)
    finally:
        file.close()


def _kind_of(name: str) -> str:
    return name.rpartition("_")[0]


def _pid_of(name: str) -> int | None:
    """Return whose a file is: ``counter_4711.db``, ``gauge_all_4711.db``."""
    number = name.removesuffix(".db").rpartition("_")[2]
    return int(number) if name.endswith(".db") and number.isascii() and number.isdigit() else None
