"""What counts as an iterator, and reading files piece by piece."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

import cherrypy
from cherrypy.core.streams import file_generator, file_generator_limited, is_closable_iterator, is_iterator


class Plain:
    """An iterator without close."""

    def __iter__(self) -> Plain:
        return self

    def __next__(self) -> bytes:
        raise StopIteration


class Closable(Plain):
    """One that can be closed."""

    def close(self, reason: str = "") -> None: ...


class Particular(Plain):
    """One whose close wants to know something."""

    def close(self, reason: str) -> None: ...


class Misleading(Plain):
    """One that has something else of that name."""

    close = 5


class Container:
    """Gives out iterators, and is none."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


@pytest.mark.parametrize(
    ("thing", "iterates", "closes"),
    [
        (Plain(), True, False),
        (Closable(), True, True),
        (Particular(), True, False),
        (Misleading(), True, False),
        (Container(), False, False),
        ((piece for piece in ()), True, True),
        (iter([]), True, False),
        (io.BytesIO(), True, True),
        (file_generator(io.BytesIO()), True, True),
        ([], False, False),
        ({}, False, False),
        ("x", False, False),
        (b"x", False, False),
        (None, False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_iterates_and_what_can_be_closed(thing: Any, iterates: bool, closes: bool) -> None:
    """A container is no iterator; a close that needs arguments cannot be called."""
    assert is_iterator(thing) is iterates
    assert is_closable_iterator(thing) is closes


def test_a_file_comes_in_blocks_and_is_closed_at_its_end() -> None:
    """64 KiB each unless said otherwise."""
    file = io.BytesIO(b"abcde")
    chunks = file_generator(file, 2)

    assert chunks.input is file
    assert list(chunks) == [b"ab", b"cd", b"e"]
    assert file.closed
    assert file_generator(file).chunkSize == 65536


def test_a_file_can_be_closed_before_its_end() -> None:
    """The client has gone."""
    file = io.BytesIO(b"abcde")
    chunks = file_generator(file, 2)
    next(chunks)
    chunks.close()

    assert file.closed


def test_a_source_without_close_is_read_all_the_same() -> None:
    """Anything that has ``read``."""

    class Source:
        def __init__(self) -> None:
            self.left = [b"a", b""]

        def read(self, size: int) -> bytes:
            return self.left.pop(0)

    assert list(file_generator(Source())) == [b"a"]


@pytest.mark.parametrize(("count", "expected"), [(0, []), (3, [b"ab", b"c"]), (9, [b"ab", b"cd", b"e"])])
def test_a_part_of_a_file_comes_in_blocks(count: int, expected: list[bytes]) -> None:
    """As many octets as asked for, or as there are."""
    assert list(file_generator_limited(io.BytesIO(b"abcde"), count, 2)) == expected


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [("", "Accept", "Accept"), ("Host", "Accept", "Host, Accept"), ("Host, Accept", "Accept", "Host, Accept")],
)
def test_vary_names_a_header_once(before: str, name: str, after: str) -> None:
    """``lib.set_vary_header``."""
    response = cherrypy._cprequest.Response()
    if before:
        response.headers["Vary"] = before
    cherrypy.lib.set_vary_header(response, name)

    assert response.headers["Vary"] == after
