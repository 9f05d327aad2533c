"""Attributes that are made when they are first touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class lazy:
    """An attribute whose value *make(owner)* computes on first touch; a plain instance attribute afterwards.

    On the class itself it reads as *default*. Assignment before the first touch replaces the computation.

    PERF: it has no ``__set__``, so the second read is an ordinary look-up. Nothing on the way of a request may touch an
    instance's ``__dict__``: from then on each access to any of its attributes costs 50 ns instead of 8 (Python 3.11).
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
        value = self.make(instance)
        setattr(instance, self.name, value)
        return value


class tracked(lazy):
    """A lazy attribute of which the framework can tell, cheaply, whether it was touched: ``_NAME`` is None until then.

    *make* must not return None, or the attribute stays untouched.
    """

    __slots__ = ("private",)

    private: str

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        self.private = f"_{name}"
        setattr(owner, self.private, None)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self.default
        value = getattr(instance, self.private)
        if value is None:
            value = self.make(instance)
            setattr(instance, self.private, value)
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance, self.private, value)

    def __delete__(self, instance: Any) -> None:
        setattr(instance, self.private, None)


def reserve(kind: type, names: str) -> None:
    """Have instances of *kind* keep the attributes *names* (at most 29, apart by blanks) where they are found fastest.

    PERF: CPython 3.11 lays out instances by the attributes that the first thirty of a class were given; one that gets
    any other keeps all of them in an ordinary dict, slowly (inside.py, json after hello: 20 us, so 9 us). Which page
    comes first must not decide that.
    """
    first: Any = object.__new__(kind)
    for name in names.split():
        setattr(first, name, None)
