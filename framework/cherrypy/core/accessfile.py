"""The file of the access log: lines are written at once while there are few, and together when there are many.

Law: whole lines only, one ``write`` to a file that is open for appending, so lines of several processes stay apart.
What is gathered is written after ``flush_s`` at the latest; when it is large; at ``flush`` and ``close``, which the
engine's stop and exit, a rotation (``graceful``) and the end of the process ask for; and before a fork.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import weakref
from time import monotonic
from typing import Any

from cherrypy.process.wspbus import bus

#: Seconds that a line may wait, unless configured.
FLUSH_S = 0.5
#: Lines in ``flush_s`` that are written at once: who tries something out sees its line before the answer.
_AT_ONCE = 500
#: Octets after which nobody waits.
_BATCH_BYTES = 65536
#: Octets that are kept for a file that cannot be written to (a full disk), until it can.
_MOST_BYTES = 1 << 20

#: What is written of a record.
logfmt = logging.Formatter("%(message)s")

# All that are alive, for the engine and for forks.
_files: weakref.WeakSet[AccessFile] = weakref.WeakSet()
_hooks: list[str] = []


class AccessFile(logging.FileHandler):
    """A handler that gathers lines.

    Args:
        filename: path of the file, made if it is not there.
        flush_s: seconds that a line may wait; 0: none waits.
    """

    def __init__(self, filename: str | os.PathLike[str], flush_s: float = FLUSH_S) -> None:
        self.flush_s = flush_s
        self._lines: list[bytes] = []
        self._size = 0
        self._own: Any = None
        self._gathers = False
        self._timer: threading.Timer | None = None
        self._window_ends = 0.0
        self._left_at_once = 0
        super().__init__(filename, encoding="utf-8")
        _wire()
        _files.add(self)

    def _open(self) -> Any:
        self._own = stream = super()._open()
        # pipes and terminals take lines one by one; more than 4 KiB would not go in one piece
        self._gathers = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        return stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of *record*, or gather it."""
        try:
            self.write_line(self.format(record))
        except Exception:
            self.handleError(record)

    def write_line(self, line: str) -> None:
        """Write *line*, without its end, or gather it."""
        octets = line.encode("utf-8", "backslashreplace") + b"\n"
        self.acquire()
        try:
            self._lines.append(octets)
            self._size += len(octets)
            if self._timer is not None and self._size < _BATCH_BYTES:
                return
            if not self._may_wait():
                self.flush()
        finally:
            self.release()

    def _may_wait(self) -> bool:
        """True if a timer is going to write what has been gathered."""
        if self.flush_s <= 0 or not self._gathers or self._size >= _BATCH_BYTES:
            return False
        now = monotonic()
        if now >= self._window_ends:
            self._window_ends = now + self.flush_s
            self._left_at_once = _AT_ONCE
        self._left_at_once -= 1
        if self._left_at_once >= 0:
            return False
        timer = threading.Timer(self.flush_s, self.flush)
        timer.daemon = True
        timer.name = "AccessLog"
        try:
            timer.start()
        except RuntimeError:
            # no thread is to be had, or the process is ending
            return False
        self._timer = timer
        return True

    def flush(self) -> None:
        """Write what has been gathered."""
        self.acquire()
        try:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if self._lines:
                self._write()
            elif self.stream is not None:
                super().flush()
        finally:
            self.release()

    def _write(self) -> None:
        lines, self._lines, self._size = self._lines, [], 0
        data = b"".join(lines)
        try:
            stream: Any = self.stream
            if stream is None:
                self.stream = stream = self._open()
            if stream is self._own:
                descriptor = stream.fileno()
                while data:
                    data = data[os.write(descriptor, data) :]
            else:
                # somebody put another one in its place
                stream.write(data.decode("utf-8"))
                stream.flush()
        except Exception:
            # as with every handler: said on stderr, and no request fails for it
            self.handleError(logging.makeLogRecord({"msg": f"{len(data)} octets could not be written"}))
            if len(data) <= _MOST_BYTES:
                self._lines.insert(0, data)
                self._size += len(data)

    def forget(self) -> None:
        """In the child of a fork: what was gathered is the parent's to write, and its timer is not here."""
        self._lines = []
        self._size = 0
        self._timer = None


def flush_all() -> None:
    """Write what all access logs have gathered; those that have nothing are not waited for (a pipe nobody reads)."""
    for file in list(_files):
        if file._lines:
            file.flush()


def _forget_all() -> None:
    for file in list(_files):
        file.forget()


def _wire() -> None:
    """Have the engine's end, and forks, flush: with the first file, since importing a module starts nothing."""
    for channel in ("stop", "exit"):
        # after everybody who may still log
        bus.subscribe(channel, flush_all, 100)
    if not _hooks:
        # a process that becomes a daemon ends without its atexit functions
        os.register_at_fork(before=flush_all, after_in_child=_forget_all)
        _hooks.append("fork")
