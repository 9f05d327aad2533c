"""Restarts the process when a source file of it changes."""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType
from typing import Any

from cherrypy.process import respawn
from cherrypy.process.monitor import Monitor
from cherrypy.process.wspbus import Bus

# Relative names of modules were relative to the folder the process started in, wherever it is now.
_module__file__base = respawn.STARTUP_DIRECTORY


class Autoreloader(Monitor):
    """Watches the files of all imported modules, and of ``files``; restarts the bus when one changes or vanishes.

    Attributes:
        files: further files to watch.
        frequency: seconds between two looks.
        match: regular expression for the names of the modules to watch.
        mtimes: {file: its time at the first look, None if it had none}.
    """

    files: Any = None
    frequency: float = 1
    match = ".*"

    def __init__(self, bus: Bus, frequency: float = 1, match: str = ".*") -> None:
        self.mtimes: dict[str, float | None] = {}
        self.files: set[str] = set()
        self.match = match
        super().__init__(bus, self.run, frequency)

    def start(self) -> None:
        """Look from now on; times seen before a restart are forgotten."""
        if self.thread is None:
            self.mtimes = {}
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
        return cls._archive_for_zip_module(module) or cls._file_for_file_module(module)

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
        for file in self.sysfiles() | {str(name) for name in self.files}:
            if not file:
                continue
            source = file[:-1] if file.endswith(".pyc") else file
            now = _mtime(source)
            if file not in self.mtimes:
                self.mtimes[file] = now
                continue
            before = self.mtimes[file]
            if before is None:  # was not there at the first look: nothing to compare with
                continue
            if now is None or now > before:
                self.bus.log(f"Restarting because {file} changed.")
                if self.thread is not None:
                    self.thread.cancel()
                self.bus.restart()
                return


def _mtime(file: str) -> float | None:
    try:
        return os.stat(file).st_mtime
    except OSError:
        return None
