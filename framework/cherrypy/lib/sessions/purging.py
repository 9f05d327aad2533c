"""Sessions that somebody else than their own visitor ends: one, those that hold a value, or all of a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cherrypy.lib.sessions.serializer import Stored

_ABSENT = object()


class Purgeable:
    """The part of a session that stands for its whole store.

    A page that works on a session while it is purged does not bring it back: what was stored once is saved again only
    if it is still there.

    Attributes:
        is_shared: True for a store that other processes of the machine see as well: one of them purges it for all.
    """

    is_shared = False
    _id: str | None
    id_pattern: Any

    def store_name(self) -> str:
        """Name the store: what has one name is one store, whatever else its pages configure."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def purge(self, id: str | None = None, where: Mapping[str, Any] | None = None) -> int:
        """Remove sessions, and return how many: the one *id*, those whose data have all of *where*, or all.

        Raises:
            NotImplementedError: the store cannot tell which sessions it has.
        """
        if id is not None:
            return self._remove_all([id] if self.id_pattern.fullmatch(id) else [])
        return self._remove_all(one for one in list(self._ids()) if where is None or self._holds(one, where))

    def _holds(self, session_id: str, where: Mapping[str, Any]) -> bool:
        stored = self._peek(session_id)
        return stored is not None and all(stored[0].get(key, _ABSENT) == value for key, value in where.items())

    # What a store implements

    def _ids(self) -> Iterator[str]:
        raise NotImplementedError(f"{self.store_name()} cannot tell which sessions it has: purge them by their ids")

    def _peek(self, session_id: str) -> Stored | None:
        """Read a session without its lock."""
        self._id = session_id
        return self._load()  # type: ignore[attr-defined,no-any-return]

    def _remove_all(self, session_ids: Iterable[str]) -> int:
        return sum(map(self._remove, session_ids))

    def _remove(self, session_id: str) -> bool:
        """Remove one, whoever works on it; True if it was there."""
        self._id = session_id
        with self._borrowed_lock():  # type: ignore[attr-defined]
            was_there = bool(self._exists())  # type: ignore[attr-defined]
            if was_there:
                self._delete()  # type: ignore[attr-defined]
        return was_there
