"""What one request body may use: parts, fields, temporary files, memory.

The reader of a body carries its ``Allowance``, so all of its parts, nested ones included, draw on the same.
"""

from __future__ import annotations

import contextlib
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


class Allowance:
    """The limits of one body, and how much of them it has used.

    Args:
        limits: {name of ``DEFAULTS``: number, or None for no limit}; what is missing has its default.
        maxrambytes: a part goes to a temporary file beyond this; None leaves it to the class of the part.

    Raises:
        ValueError: a limit is no positive number.
    """

    __slots__ = ("files", "form_bytes", "limits", "maxrambytes", "nesting", "parts")

    def __init__(self, limits: dict[str, Any] | None = None, maxrambytes: int | None = None) -> None:
        self.limits = {**DEFAULTS, **(limits or {})}
        for name, value in self.limits.items():
            _check(name, value, 1)
        _check("maxrambytes", maxrambytes, 0)
        self.maxrambytes = maxrambytes
        self.parts = self.files = self.nesting = self.form_bytes = 0

    def check_fields(self, count: int) -> None:
        """Check the number of fields in an urlencoded form.

        Raises:
            HTTPError: 413.
        """
        limit = self.limits["max_fields"]
        if limit is not None and count > limit:
            raise too_much("max_fields", f"The form has more than {limit} fields.")

    def take_part(self) -> None:
        """Count a part of a multipart body.

        Raises:
            HTTPError: 413.
        """
        self.parts += 1
        limit = self.limits["max_parts"]
        if limit is not None and self.parts > limit:
            raise too_much("max_parts", f"The body has more than {limit} parts.")

    def take_file(self) -> None:
        """Count a part that goes to a temporary file: each holds a descriptor.

        Raises:
            HTTPError: 413.
        """
        self.files += 1
        limit = self.limits["max_files"]
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
        limit = self.limits["max_form_bytes"]
        if limit is not None and self.form_bytes > limit:
            raise too_much("max_form_bytes", f"The fields of the form have more than {limit} bytes.")

    def enter(self) -> None:
        """Begin a multipart body, perhaps inside another.

        Raises:
            HTTPError: 413.
        """
        self.nesting += 1
        limit = self.limits["max_nesting"]
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


def _check(name: str, value: Any, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ValueError(f"request.body.{name} must be a whole number of at least {least}, or None; not {value!r}")


def too_much(name: str, text: str) -> HTTPError:
    """Return the error for a body beyond the limit *name*."""
    return HTTPError(413, f"{text} (request.body.{name})")
