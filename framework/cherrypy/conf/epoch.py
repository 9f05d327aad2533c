"""Numbers that rise with every change, for what was computed beforehand to notice that it is out of date."""

from __future__ import annotations


class Epoch:
    """A number that rises when something changes.

    Args:
        whole: another epoch, that of everything, which rises as well.
    """

    __slots__ = ("value", "whole")

    def __init__(self, whole: Epoch | None = None) -> None:
        self.value = 0
        self.whole = whole

    def bump(self) -> None:
        """Let it rise."""
        self.value += 1
        if self.whole is not None:
            self.whole.value += 1


#: Of every configuration, application, tool and hook together. What has seen one value of it need not look closer until
#: there is another.
changes = Epoch()
