"""What the operator wrote about another version of an app: a share of the traffic, or a copy of it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kirsch.spec.name import Name


class Canary(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A share of an app's clients gets another app instead, and stays with it."""

    app: Name
    """The other one: mounted at the same path, in a pool of its own, shown by no vhost."""
    percent: Annotated[float, msgspec.Meta(gt=0, lt=100, description="a share in percent, more than 0 and under 100")]
    days: Annotated[int, msgspec.Meta(ge=1, le=365, description="a number of days from 1 to 365")] = 1
    """How long a client stays with what it got."""


class Mirror(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Another app gets a copy of every request; nobody sees its answers."""

    app: Name
    """The other one: mounted at the same path, in a pool of its own, shown by no vhost."""
    unsafe: bool = False
    """Copy also requests that change something (POST and the like), with their bodies."""
