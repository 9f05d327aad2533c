"""What the listeners of one publication raised, together."""

from __future__ import annotations

import sys


class ChannelFailures(Exception):
    """All the errors that the listeners of one publication raised; false when there were none."""

    delimiter = "\n"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._exceptions: list[BaseException] = []

    def handle_exception(self) -> None:
        """Keep the exception that is being handled right now."""
        caught = sys.exc_info()[1]
        if caught is not None:
            self._exceptions.append(caught)

    def get_instances(self) -> list[BaseException]:
        """The exceptions that were raised, in the order of the listeners."""
        return list(self._exceptions)

    def __str__(self) -> str:
        return self.delimiter.join(map(repr, self._exceptions))

    __repr__ = __str__

    def __bool__(self) -> bool:
        return bool(self._exceptions)
