"""Generations on disk: one numbered folder a rendering, and one symbolic link that says which one nginx reads.

::

    RUN/nginx/generations/000007/nginx.conf …      written once, never changed
    RUN/nginx/generations/000008.refused/          kept for the eye, never linked
    RUN/nginx/current -> generations/000007
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from kirsch.errors import NginxError
from kirsch.nginx.site import GENERATION_FILE, GENERATION_FILES
from kirsch.spec import HostPaths

KEEP = 5
KEEP_REFUSED = 2
_REFUSED = ".refused"
_NAME = re.compile(r"[0-9]{6}\Z")


class Generations:
    """The folders under ``RUN/nginx/generations`` and the link ``RUN/nginx/current``."""

    def __init__(self, paths: HostPaths) -> None:
        self._folder = Path(paths.nginx_generations)
        self._link = Path(paths.nginx_current)

    def folder(self, name: str) -> Path:
        """Where the files of *name* are."""
        return self._folder / name

    def current(self) -> str | None:
        """The generation that the link names; None before the first, or when its folder is gone."""
        try:
            name = os.path.basename(os.readlink(self._link))
        except OSError:
            return None
        return name if _NAME.match(name) and self.folder(name).is_dir() else None

    def next(self) -> str:
        """A name that was never used: one above every folder, also the refused ones."""
        return f"{max([int(name[:6]) for name in self._all()], default=0) + 1:06d}"

    def holds(self, name: str, files: Mapping[str, str]) -> bool:
        """True when generation *name* says the same as *files*, but for its own number."""
        here = {
            path.relative_to(self.folder(name)).as_posix(): path
            for path in self.folder(name).rglob("*")
            if path.is_file()
        }
        return here.keys() == files.keys() and all(
            path.read_text(encoding="utf-8") == files[file]
            for file, path in here.items()
            if file not in GENERATION_FILES
        )

    def read(self, name: str) -> dict[str, str]:
        """The files of generation *name*."""
        folder = self.folder(name)
        found = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}

    def write(self, files: Mapping[str, str], group: int = -1) -> str:
        """Put *files* on disk under the name that they carry, readable to *group*; returns the name.

        Half a generation never bears a name: the folder is filled, synced, then renamed. A name is never written twice:
        the first may be what nginx reads.

        Raises:
            NginxError: the number was free when it was asked for, and is not any more.
        """
        name = files[GENERATION_FILE].strip()
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is not a generation: six digits, from Generations.next()")
        if self.folder(name).exists():
            raise NginxError(f"generation {name} was written by somebody else meanwhile: render again", generation=name)
        part = self._folder / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        for file, text in files.items():
            path = part / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        # all are written before the first is waited for: with thousands of vhosts, one by one takes minutes
        for path in (part, *part.rglob("*")):
            if group != -1:
                os.chown(path, -1, group)
            path.chmod(0o750 if path.is_dir() else 0o640)
            _sync(path)
        os.rename(part, self.folder(name))
        _sync(self._folder)
        return name

    def switch(self, name: str | None) -> None:
        """Point the link at *name* in one step; None takes the link away."""
        if name is None:
            self._link.unlink(missing_ok=True)
            return
        part = self._link.with_name(".current.part")
        part.unlink(missing_ok=True)
        part.symlink_to(f"{self._folder.name}/{name}")
        os.rename(part, self._link)
        _sync(self._link.parent)

    def refuse(self, name: str) -> Path:
        """Set *name* aside for the eye; returns where it is now."""
        aside = self.folder(f"{name}{_REFUSED}")
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(self.folder(name), aside)
        return aside

    def prune(self) -> None:
        """Remove all but the last few; never the current one."""
        names = sorted(self._all())
        good = [name for name in names if not name.endswith(_REFUSED)]
        refused = [name for name in names if name.endswith(_REFUSED)]
        for name in good[:-KEEP] + refused[:-KEEP_REFUSED]:
            if name != self.current():
                shutil.rmtree(self.folder(name), ignore_errors=True)

    def _all(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return [path.name for path in self._folder.iterdir() if _NAME.match(path.name.removesuffix(_REFUSED))]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
