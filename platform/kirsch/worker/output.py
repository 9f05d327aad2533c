"""Where a worker prints to: the file that its supervisor opened for it, and the same name again after a rotation."""

from __future__ import annotations

import logging
import os
import stat

log = logging.getLogger(__name__)

_STREAMS = (1, 2)


class Output:
    """Standard output and error, where they are a file."""

    def __init__(self) -> None:
        self.path = ""
        if stat.S_ISREG(os.fstat(2).st_mode):
            self.path = os.readlink("/proc/self/fd/2")

    def reopen(self) -> bool:
        """Go on in a file of the same name; True when that is another one than before.

        What cannot be opened (it is another user's) leaves everything as it is.
        """
        if not self.path:
            return False
        try:
            before = os.fstat(2)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            log.warning("the log cannot be opened again: %s", error)
            return False
        try:
            for stream in _STREAMS:
                if os.path.sameopenfile(stream, 2) or os.path.samestat(os.fstat(stream), before):
                    os.dup2(descriptor, stream)
            return not os.path.samestat(before, os.fstat(descriptor))
        finally:
            os.close(descriptor)
