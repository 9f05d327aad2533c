"""Attributes that are made when they are first touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class lazy:
    """An attribute whose value *make(owner)* computes on first touch; a plain instance attribute afterwards.

    On the class itself it reads as *default*. Assignment before the first touch replaces the computation.

    PERF: it has no ``__set__``, so the second read is an ordinary look-up in the instance's ``__dict__``.
    """

    __slots__ = ("default", "make", "name")

    def __init__(self, make: Callable[[Any], Any], default: Any = None) -> None:
        self.make = make
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self.default
        value = instance.__dict__[self.name] = self.make(instance)
        return value
