"""An identifier for each request that costs nothing until it is looked at."""

from __future__ import annotations

import uuid


class LazyUUID4:
    """A random UUID, made when it is first used and the same ever after."""

    _value: str | None = None

    def __str__(self) -> str:
        return self.uuid4

    @property
    def uuid4(self) -> str:
        """The identifier as text."""
        if self._value is None:
            self._value = str(uuid.uuid4())
        return self._value
