"""How a session becomes octets in a store: ``tools.sessions.serializer``.

'pickle' holds every Python object, and runs code for whoever can write to the store. 'json' holds what comes back as
it was put in: text, numbers, booleans, None, lists and dicts with text keys. Anything with ``dumps`` and ``loads``
(``msgpack``, an object of your own) will do as well.
"""

from __future__ import annotations

import datetime
import json
import pickle
from typing import Any, Protocol

Stored = tuple[dict[str, Any], datetime.datetime]


class Serializer(Protocol):
    """What a store needs."""

    def pack(self, data: dict[str, Any], expiration: datetime.datetime) -> bytes:
        """Return octets for the store."""

    def unpack(self, octets: bytes) -> Stored:
        """Return what was packed; any exception means that it cannot be read."""


class PickleSerializer:
    """Pickles of (data, expiration).

    COMPAT: the files of CherryPy's sessions are such pickles, and go on being read.
    """

    def __init__(self, protocol: int = pickle.HIGHEST_PROTOCOL) -> None:
        self.protocol = protocol

    def pack(self, data: dict[str, Any], expiration: datetime.datetime) -> bytes:
        """Return the pickle.

        Raises:
            Exception: whatever pickle raises for a value that it cannot hold, with a note that says which.
        """
        try:
            return pickle.dumps((data, expiration), self.protocol)
        except Exception as error:
            for key, value in data.items():
                if not _pickles(value, self.protocol):
                    error.add_note(f"session[{key!r}] is of the type {type(value).__qualname__}")
            raise

    def unpack(self, octets: bytes) -> Stored:
        """Return what was pickled."""
        data, expiration = pickle.loads(octets)
        return data, expiration


class TextSerializer:
    """The expiration as a line of its own, then the data as a library's ``dumps`` wrote them.

    SECURITY: never a pickle: what such a serializer cannot read is not read at all.
    """

    def __init__(self, library: Any) -> None:
        self.library = library

    def pack(self, data: dict[str, Any], expiration: datetime.datetime) -> bytes:
        """Return both."""
        packed = self.library.dumps(data)
        return expiration.isoformat().encode("ascii") + b"\n" + (packed.encode() if isinstance(packed, str) else packed)

    def unpack(self, octets: bytes) -> Stored:
        """Return both."""
        moment, _, packed = octets.partition(b"\n")
        return self.library.loads(packed), datetime.datetime.fromisoformat(moment.decode("ascii"))


class StrictJSON:
    """JSON that refuses what it would change on the way: ``(1, 2)`` comes back as a list, the key 1 as '1'."""

    def dumps(self, data: dict[str, Any]) -> str:
        """Return *data* as JSON.

        Raises:
            TypeError: a value cannot be held; the text says which.
        """
        try:
            packed = json.dumps(data, allow_nan=False, separators=(",", ":"))
            if json.loads(packed) == data:
                return packed
        except (TypeError, ValueError, RecursionError):
            pass
        path, value = _find_misfit(data, "session", ())
        raise TypeError(
            f"{path} is {_described(value)}, which JSON does not hold: keep text, finite numbers, booleans, None, "
            "lists and dicts with text keys in the session, or set tools.sessions.serializer = 'pickle'."
        )

    def loads(self, packed: bytes) -> dict[str, Any]:
        """Return the data."""
        data: dict[str, Any] = json.loads(packed)
        return data


def _pickles(value: Any, protocol: int) -> bool:
    try:
        pickle.dumps(value, protocol)
    except Exception:
        return False
    return True


def _described(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{value!r} ({name})" if isinstance(value, float | int) else f"of the type {name}"


def _find_misfit(value: Any, path: str, above: tuple[int, ...]) -> tuple[str, Any]:
    """The first value below *value* that JSON does not hold, with its path; *value* itself if it is none of those."""
    if id(value) in above or len(above) > 200:
        # within itself, or deeper than anybody reads
        return path, value
    inside = [*above, id(value)]
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, one in items:
        where = f"{path}[{key!r}]"
        if isinstance(value, dict) and not isinstance(key, str):
            return f"The key {key!r} of {path}", key
        if not _holds(one):
            return _find_misfit(one, where, tuple(inside))
    return path, value


def _holds(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


_JSON = TextSerializer(StrictJSON())


def is_serializer(value: object) -> bool:
    """True for what ``tools.sessions.serializer`` may be."""
    return value in ("json", "pickle") or (hasattr(value, "dumps") and hasattr(value, "loads"))


def serializer_for(setting: Any, pickle_protocol: int) -> Serializer:
    """Return the serializer that *setting* names.

    Raises:
        ValueError: it names none.
    """
    if setting == "pickle":
        return PickleSerializer(pickle_protocol)
    if setting == "json":
        return _JSON
    if not is_serializer(setting):
        raise ValueError(
            f"tools.sessions.serializer must be 'json', 'pickle' or an object with dumps and loads, not {setting!r}"
        )
    return TextSerializer(setting)
