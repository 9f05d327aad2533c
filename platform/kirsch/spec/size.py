"""Amounts of memory and of octets, as the operator writes them."""

from __future__ import annotations

import re

SIZE_RULE = 'a number of octets, or text like "400MiB" (units: B, KiB, MiB, GiB, kB, MB, GB)'
_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_SIZE = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,6})?) ?(?P<unit>[A-Za-z]{0,3})\Z")


class Bytes(int):
    """A number of octets that prints itself readably: ``str(Bytes.parse("400MiB")) == "400MiB"``."""

    @classmethod
    def parse(cls, value: object) -> Bytes:
        """Read what the operator wrote: ``4096``, ``"400MiB"``, ``"1.5 GB"``.

        Raises:
            ValueError: with the rule as its text.
        """
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        match = _SIZE.match(value) if isinstance(value, str) else None
        unit = _UNITS.get(match["unit"].lower()) if match else None
        if match is None or unit is None:
            raise ValueError(SIZE_RULE)
        return cls(round(float(match["number"]) * unit) if "." in match["number"] else int(match["number"]) * unit)

    def __str__(self) -> str:
        for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if self and not self % factor:
                return f"{self // factor}{unit}"
        return str(int(self))
