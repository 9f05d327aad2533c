"""The files of a release: what a directory holds, less what nobody deploys, under one hash.

Independent of git on purpose: what is on the disk is what is deployed, committed or not, and the hash is of content.
Two snapshots with the same hash hold the same names, executable bits, link targets and bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from kirsch.errors import DeployError

IGNORE_FILE = ".kirschignore"

# A trailing slash: directories only. A slash elsewhere: from the top of the tree. As in .gitignore, without its
# negations.
DEFAULT_IGNORES = (
    ".git",
    ".hg/",
    ".svn/",
    ".kirsch/",
    ".venv/",
    "venv/",
    "node_modules/",
    "__pycache__/",
    "*.py[co]",
    ".mypy_cache/",
    ".ruff_cache/",
    ".pytest_cache/",
    ".hypothesis/",
    ".tox/",
    ".nox/",
    ".coverage",
    ".DS_Store",
    "*.swp",
)


@dataclass(frozen=True)
class Entry:
    """One file of a snapshot: its path from the top with slashes, executable or not, link target or None, size, and
    hash of its content.
    """

    path: str
    executable: bool
    target: str | None
    size_bytes: int
    digest: str


@dataclass(frozen=True)
class Snapshot:
    """What a directory held when it was looked at."""

    source: Path
    entries: tuple[Entry, ...]
    digest: str

    @property
    def size_bytes(self) -> int:
        """The bytes of all files together."""
        return sum(entry.size_bytes for entry in self.entries)

    def copy_to(self, directory: Path) -> None:
        """Write the snapshot's files into *directory*, which is made; a file that changed since it was looked at is
        an error.

        Raises:
            DeployError: a file is no longer what it was.
        """
        directory.mkdir(parents=True, exist_ok=True)
        for entry in self.entries:
            place = directory / entry.path
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.target is not None:
                place.symlink_to(entry.target)
                continue
            try:
                # with its time: a static file that did not change keeps its Last-Modified over releases
                shutil.copy2(self.source / entry.path, place)
            except FileNotFoundError as error:
                raise DeployError(f"{entry.path} vanished while the release was built: deploy again") from error
            place.chmod(0o755 if entry.executable else 0o644)
            if _hash_file(place) != entry.digest:
                raise DeployError(f"{entry.path} changed while the release was built: deploy again")


def take_snapshot(source: Path, *, leave_out: Path | None = None) -> Snapshot:
    """Look at every file under *source* that is to be deployed.

    *leave_out* is a directory to pass over wherever it lies (the root of a local deploy may lie inside what is
    deployed).

    Raises:
        DeployError: a symbolic link points out of the tree, so the release would not be whole.
    """
    top = source.resolve()
    patterns = (*DEFAULT_IGNORES, *_own_ignores(top))
    entries = tuple(sorted(_walk(top, top, patterns, leave_out and leave_out.resolve()), key=lambda entry: entry.path))
    whole = hashlib.sha256()
    for entry in entries:
        whole.update(
            f"{entry.path}\0{entry.executable:d}\0{entry.target or ''}\0{entry.digest}\n".encode(
                "utf-8", "surrogateescape"
            )
        )
    return Snapshot(top, entries, whole.hexdigest())


def is_ignored(path: str, *, is_directory: bool, patterns: tuple[str, ...]) -> bool:
    """Is *path* ("static/app.css.swp") left out by one of the *patterns*?"""
    name = path.rpartition("/")[2]
    for pattern in patterns:
        if pattern.endswith("/") and not is_directory:
            continue
        bare = pattern.rstrip("/")
        if "/" in bare:
            if fnmatchcase(path, bare.lstrip("/")):
                return True
        elif fnmatchcase(name, bare):
            return True
    return False


def _own_ignores(top: Path) -> tuple[str, ...]:
    try:
        text = (top / IGNORE_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _walk(directory: Path, top: Path, patterns: tuple[str, ...], leave_out: Path | None) -> Iterator[Entry]:
    with os.scandir(directory) as found:
        for item in found:
            place = Path(item.path)
            path = place.relative_to(top).as_posix()
            is_directory = item.is_dir(follow_symlinks=False)
            if place == leave_out or is_ignored(path, is_directory=is_directory, patterns=patterns):
                continue
            if item.is_symlink():
                yield _link_entry(place, path, top)
            elif is_directory:
                yield from _walk(place, top, patterns, leave_out)
            elif item.is_file(follow_symlinks=False):
                status = item.stat(follow_symlinks=False)
                yield Entry(path, bool(status.st_mode & stat.S_IXUSR), None, status.st_size, _hash_file(place))
            # sockets, pipes and devices are of a running program, not of its source


def _link_entry(place: Path, path: str, top: Path) -> Entry:
    target = os.readlink(place)
    if os.path.isabs(target) or not place.resolve().is_relative_to(top):
        raise DeployError(
            f"{path} is a symbolic link to {target}, outside of {top}: a release must be whole. "
            f"Copy the file, make the link relative and inside, or name it in {IGNORE_FILE}"
        )
    return Entry(path, False, target, 0, "")


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
