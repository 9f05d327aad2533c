"""Bodies that come piece by piece."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import lru_cache
from types import GeneratorType
from typing import Any


def is_iterator(obj: Any) -> bool:
    """True for an iterator (not for a list or another container that only can be iterated)."""
    return hasattr(obj, "__next__") and hasattr(obj, "__iter__") and iter(obj) is obj


def is_closable_iterator(obj: Any) -> bool:
    """True for an iterator whose ``close`` method can be called without arguments."""
    if type(obj) in (GeneratorType, file_generator):
        return True
    close = getattr(obj, "close", None) if is_iterator(obj) else None
    if not callable(close):
        return False
    function = getattr(close, "__func__", None)
    return _can_be_called(close) if function is None else _can_be_called_as_method(function)


def _can_be_called(function: Any, *arguments: Any) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        # written in C, and silent about its parameters: closing takes none
        return True
    return True


@lru_cache(maxsize=512)
def _can_be_called_as_method(function: Any) -> bool:
    """PERF: signatures cost 60 us, and every answer that is a file asks for one."""
    return _can_be_called(function, None)


class file_generator:
    """An iterator over *input* (a readable, in bytes) in blocks of *chunkSize* bytes."""

    def __init__(self, input: Any, chunkSize: int = 65536) -> None:
        self.input = input
        self.chunkSize = chunkSize

    def __iter__(self) -> file_generator:
        return self

    def __next__(self) -> bytes:
        chunk: bytes = self.input.read(self.chunkSize)
        if chunk:
            return chunk
        self.close()
        raise StopIteration

    next = __next__

    def close(self) -> None:
        """Close the file, also when it was not read to its end."""
        if hasattr(self.input, "close"):
            self.input.close()


def file_generator_limited(fileobj: Any, count: int, chunk_size: int = 65536) -> Iterator[bytes]:
    """Yield *count* bytes of *fileobj*, or fewer if it ends before, in blocks of *chunk_size* bytes."""
    remaining = count
    while remaining > 0:
        chunk = fileobj.read(min(chunk_size, remaining))
        if not chunk:
            return
        remaining -= len(chunk)
        yield chunk
