"""Bodies that come piece by piece."""

from __future__ import annotations

import io
from typing import Any

import pytest

from cherrypy.core.streams import file_generator, file_generator_limited, is_closable_iterator, is_iterator


class Iterator:
    """The least that an iterator is."""

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> bytes:
        raise StopIteration


class Closable(Iterator):
    """One that can be closed."""

    def close(self) -> None:
        """Close."""


class Container:
    """Can be iterated over, but is no iterator."""

    def __iter__(self) -> Any:
        return iter(())

    def close(self) -> None:
        """Close."""


@pytest.mark.parametrize(
    ("value", "iterator", "closable"),
    [
        (Iterator(), True, False),
        (Closable(), True, True),
        (Container(), False, False),
        ((piece for piece in ()), True, True),
        (iter([]), True, False),
        ([], False, False),
        (b"", False, False),
        (None, False, False),
        (file_generator(io.BytesIO()), True, True),
    ],
)
def test_iterators_and_those_that_can_be_closed(value: Any, iterator: bool, closable: bool) -> None:
    """Containers are neither."""
    assert (is_iterator(value), is_closable_iterator(value)) == (iterator, closable)


@pytest.mark.parametrize(("size", "pieces"), [(3, [b"abc", b"de"]), (65536, [b"abcde"])])
def test_a_file_in_blocks(size: int, pieces: list[bytes]) -> None:
    """Closed behind the last."""
    file = io.BytesIO(b"abcde")

    assert list(file_generator(file, size)) == pieces
    assert file.closed


def test_a_file_that_is_not_read_to_its_end_can_be_closed() -> None:
    """What stands behind the generator knows how; something without ``close`` is left alone."""

    class Readable:
        def read(self, size: int) -> bytes:
            return b""

    file = io.BytesIO(b"abcde")
    generator = file_generator(file, 1)
    first = generator.next()
    generator.close()
    file_generator(Readable()).close()

    assert (first, file.closed, generator.chunkSize, generator.input) == (b"a", True, 1, file)


@pytest.mark.parametrize(("count", "pieces"), [(0, []), (2, [b"ab"]), (4, [b"abc", b"d"]), (99, [b"abc", b"de"])])
def test_a_piece_of_a_file(count: int, pieces: list[bytes]) -> None:
    """Not more than *count* bytes; a file that ends before gives what it has."""
    assert list(file_generator_limited(io.BytesIO(b"abcde"), count, 3)) == pieces
