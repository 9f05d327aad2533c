"""What one request body may use: parts, fields, temporary files, memory.

The reader of a body carries its ``Allowance``, so all of its parts, nested ones included, draw on the same.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import Any

from cherrypy.core.errors import HTTPError

# {attribute of RequestBody, which is the configuration key request.body.NAME: default}
DEFAULTS: dict[str, int] = {
    "max_fields": 10_000,
    "max_parts": 10_000,
    "max_files": 500,
    "max_nesting": 5,
    "max_part_head_bytes": 16_384,
    "max_form_bytes": 32 * 1024 * 1024,
}


def _no_body() -> None:
    return None


class Allowance:
    """How much of its limits a body has used.

    Args:
        body: has the limits, and ``maxrambytes``, as attributes; None for the defaults.
    """

    __slots__ = ("_body", "files", "form_bytes", "nesting", "parts")

    def __init__(self, body: Any = None) -> None:
        # PERF: limits are looked up when they matter; reading all of them here was 3 us of every POST
        # weak: the body holds the reader that holds this, and its files must not wait for the garbage collector
        self._body: Callable[[], Any] = weakref.ref(body) if body is not None else _no_body
        self.parts = self.files = self.nesting = self.form_bytes = 0

    def limit(self, name: str) -> int | None:
        """Return the limit *name* of ``DEFAULTS``; None for no limit.

        Raises:
            ValueError: it is no positive number.
        """
        value: int | None = getattr(self._body(), name, DEFAULTS[name])
        if value is None or value.__class__ is not int or value <= 0:
            check_limit(name, value)
        return value

    @property
    def maxrambytes(self) -> int | None:
        """A part goes to a temporary file beyond this; None leaves it to the class of the part."""
        value = getattr(self._body(), "maxrambytes", None)
        check_limit("maxrambytes", value)
        return value

    def check_fields(self, count: int) -> None:
        """Check the number of fields in an urlencoded form.

        Raises:
            HTTPError: 413.
        """
        limit = self.limit("max_fields")
        if limit is not None and count > limit:
            raise too_much("max_fields", f"The form has more than {limit} fields.")

    def take_part(self) -> None:
        """Count a part of a multipart body.

        Raises:
            HTTPError: 413.
        """
        self.parts += 1
        limit = self.limit("max_parts")
        if limit is not None and self.parts > limit:
            raise too_much("max_parts", f"The body has more than {limit} parts.")

    def take_file(self) -> None:
        """Count a part that goes to a temporary file: each holds a descriptor.

        Raises:
            HTTPError: 413.
        """
        self.files += 1
        limit = self.limit("max_files")
        if limit is not None and self.files > limit:
            raise too_much("max_files", f"The body has more than {limit} files.")

    def give_back_file(self) -> None:
        """Count a temporary file that was closed again."""
        self.files -= 1

    def take_text(self, size_bytes: int) -> None:
        """Count form text that is going to be held in memory.

        Raises:
            HTTPError: 413.
        """
        self.form_bytes += size_bytes
        limit = self.limit("max_form_bytes")
        if limit is not None and self.form_bytes > limit:
            raise too_much("max_form_bytes", f"The fields of the form have more than {limit} bytes.")

    def enter(self) -> None:
        """Begin a multipart body, perhaps inside another.

        Raises:
            HTTPError: 413.
        """
        self.nesting += 1
        limit = self.limit("max_nesting")
        if limit is not None and self.nesting > limit:
            raise too_much("max_nesting", f"Multipart bodies are nested more than {limit} deep.")

    def leave(self) -> None:
        """End a multipart body."""
        self.nesting -= 1


def allowance_of(fp: Any) -> Allowance:
    """Return the allowance that the reader *fp* carries; one that has none gets the defaults."""
    allowance = getattr(fp, "allowance", None)
    if isinstance(allowance, Allowance):
        return allowance
    allowance = Allowance()
    with contextlib.suppress(AttributeError):  # files of the standard library take no attributes
        fp.allowance = allowance
    return allowance


def check_limit(name: str, value: Any) -> None:
    """Check the value of ``request.body.NAME``.

    Raises:
        ValueError: it is no whole number, or too small; the text has the key.
    """
    if value is None or (value.__class__ is int and value > 0):
        return
    least = 0 if name == "maxrambytes" else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"request.body.{name} must be a whole number of at least {least}, or None; not {value!r}")


def too_much(name: str, text: str) -> HTTPError:
    """Return the error for a body beyond the limit *name*."""
    return HTTPError(413, f"{text} (request.body.{name})")
