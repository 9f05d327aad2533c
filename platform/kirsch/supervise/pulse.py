"""Silence: for how long a worker has given no sign of life while somebody listened.

The age of a heartbeat alone is no proof. After a machine has slept, or had its processors elsewhere, everybody's is
old, and whoever looks first must not take that for death: the others have had no chance yet.
"""

from __future__ import annotations

#: A look stands for no more than this, however long ago the one before it was.
LOOK_S = 1.0
#: What a second counts in which the worker used a processor, or waited for one: it may only have been slow.
AT_WORK = 1 / 3
#: Two beats are a second apart; less is the rounding of clocks.
NEWER_S = 0.5


class Pulse:
    """The heartbeat of one worker, as it is looked at about once a second."""

    def __init__(self) -> None:
        self.silent_s = 0.0
        """How long there was no beat; seconds that a busy worker could not use count less."""
        self._looked: float | None = None
        self._beat = 0.0
        self._cpu_s = 0.0

    def look(self, now: float, age_s: float, *, cpu_s: float, is_runnable: bool) -> float:
        """Look; return ``silent_s``.

        Args:
            now: ``time.monotonic()``.
            age_s: of its last heartbeat.
            cpu_s: the processor time that it has used so far.
            is_runnable: it would run if it had a processor, or waits for the disk.
        """
        beat = now - age_s
        if self._looked is None or beat > self._beat + NEWER_S:
            self.silent_s = 0.0
            self._beat = beat
        else:
            worth = AT_WORK if is_runnable or cpu_s > self._cpu_s else 1.0
            self.silent_s += worth * min(now - self._looked, LOOK_S)
        self._looked = now
        self._cpu_s = cpu_s
        return self.silent_s
