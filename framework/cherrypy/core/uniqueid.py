"""An identifier for each request that costs nothing until it is looked at."""

from __future__ import annotations

import uuid


class LazyUUID4:
    """A random UUID, made when it is first used and the same ever after; ``str()`` of it is the identifier as text."""

    _uuid4: uuid.UUID | None = None

    def __str__(self) -> str:
        return str(self.uuid4)

    @property
    def uuid4(self) -> uuid.UUID:
        """The identifier."""
        if self._uuid4 is None:
            self._uuid4 = uuid.uuid4()
        return self._uuid4
