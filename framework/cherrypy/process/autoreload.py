"""Restarts the process when a source file of it changes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from cherrypy.process import respawn
from cherrypy.process.monitor import Monitor
from cherrypy.process.wspbus import Bus

# Relative names of modules were relative to the folder the process started in, wherever it is now.
_module__file__base = respawn.STARTUP_DIRECTORY


class Autoreloader(Monitor):
    """Watches the files of all imported modules, and of ``files``; restarts the bus when one changes or vanishes.

    A file that vanished has to be away at two looks: editors and version control replace files by removing them first.
    A Python file that does not compile is reported, and not restarted into: the process would die.

    Attributes:
        frequency: seconds between two looks; 0 or less: never.
        mtimes: {file: its time at the first look, None if it had none}.
    """

    frequency: float = 1

    def __init__(self, bus: Bus, frequency: float = 1, match: str = ".*") -> None:
        self.mtimes: dict[str, float | None] = {}
        self.files = set()
        self.match = match
        self._missing: set[str] = set()
        super().__init__(bus, self.run, frequency)

    @property
    def files(self) -> Any:
        """Further files to watch, a set of paths; any iterable of them, or one path, may be assigned."""
        return self._files

    @files.setter
    def files(self, paths: Iterable[Any] | str | os.PathLike[str]) -> None:
        self._files: set[Any] = {paths} if isinstance(paths, str | os.PathLike) else set(paths)

    @property
    def match(self) -> str:
        """Regular expression for the names of the modules to watch, as ``re.match`` takes it.

        Raises:
            ValueError: assigned something else.
        """
        return self._match

    @match.setter
    def match(self, pattern: str) -> None:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise ValueError(
                f"engine.autoreload.match is {pattern!r}; it has to be a regular expression for names of modules, "
                f"such as 'myapp.*' ({error})."
            ) from None
        self._match = pattern

    def start(self) -> None:
        """Look from now on; times seen before a restart are forgotten."""
        if self.thread is None:
            self.mtimes = {}
            self._missing = set()
        super().start()

    start.priority = 70  # type: ignore[attr-defined]

    def sysfiles(self) -> set[str]:
        """The files of all imported modules whose name matches."""
        matches = re.compile(self.match).match
        # A copy: another thread may import while we look.
        found = (self._file_for_module(module) for name, module in list(sys.modules.items()) if matches(name))
        return {file for file in found if file}

    @classmethod
    def _file_for_module(cls, module: ModuleType) -> str | None:
        try:
            return cls._archive_for_zip_module(module) or cls._file_for_file_module(module)
        except Exception:
            # Lazy modules import something when they are touched, and fail with whatever that fails with.
            return None

    @staticmethod
    def _archive_for_zip_module(module: ModuleType) -> str | None:
        archive = getattr(getattr(module, "__loader__", None), "archive", None)
        return archive if isinstance(archive, str) else None

    @classmethod
    def _file_for_file_module(cls, module: ModuleType) -> str | None:
        file = getattr(module, "__file__", None)
        # Stand-ins in sys.modules may answer any attribute with anything.
        return cls._make_absolute(file) if isinstance(file, str) and file else None

    @staticmethod
    def _make_absolute(filename: str) -> str:
        return os.path.normpath(os.path.join(_module__file__base, filename))

    def run(self) -> None:
        """Look once; restart at the first file that changed."""
        if self.bus.state is self.bus.states.STARTING:
            return  # an exit in the middle of a start would end the process
        for file in self.sysfiles() | {str(name) for name in self.files}:
            if file and self._has_changed(file):
                self.bus.log(f"Restarting because {file} changed.")
                if self.thread is not None:
                    self.thread.cancel()
                self.bus.restart()
                return

    def _has_changed(self, file: str) -> bool:
        """True if *file* is another one than at the first look, and a restart will find a whole one."""
        source = file[:-1] if file.endswith(".pyc") else file
        now = _mtime(source)
        if file not in self.mtimes:
            self.mtimes[file] = now
            return False
        before = self.mtimes[file]
        if before is None or now == before:  # None: was not there at the first look, nothing to compare with
            self._missing.discard(file)
            return False
        if now is None and file not in self._missing:
            self._missing.add(file)
            return False
        broken = _why_broken(source)
        if broken is not None:
            self.mtimes[file] = now
            self.bus.log(f"Not restarting: {file} changed, but does not compile ({broken}).", level=40)
            return False
        return True


def _mtime(file: str) -> float | None:
    try:
        return os.stat(file).st_mtime
    except OSError:
        return None


def _why_broken(file: str) -> str | None:
    """The reason why the Python file *file* cannot be compiled; None if it can, or is something else."""
    if not file.endswith(".py"):
        return None
    try:
        with open(file, "rb") as source:
            compile(source.read(), file, "exec", dont_inherit=True)
    except OSError:  # it is gone
        return None
    except (SyntaxError, ValueError) as error:  # ValueError: NUL octets
        return str(error)
    return None
