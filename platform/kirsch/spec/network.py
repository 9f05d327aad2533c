"""Addresses and networks of clients, as the operator writes them."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec

NETWORK_RULE = 'an address or a network: "192.0.2.7", "10.0.0.0/8", "2001:db8::/32"'
Network = Annotated[
    str,
    msgspec.Meta(pattern=r"^[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?\Z", max_length=64, description=NETWORK_RULE),
]


def why_no_network(text: str) -> tuple[str, str | None] | None:
    """What is wrong with *text* as a network, and what was probably meant; None when it is one.

    ``why_no_network("10.0.0.1/8") == ("has bits set behind its prefix", "10.0.0.0/8")``.
    """
    try:
        ipaddress.ip_network(text)
    except ValueError:
        try:
            return "has bits set behind its prefix", str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            return "is no address and no network", None
    return None
