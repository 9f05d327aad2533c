"""Features that are on for everybody, for nobody, or for a share of all visitors. Pure."""

from __future__ import annotations

import hashlib

STEPS = 10_000
"""A share is told apart to a hundredth of a per cent."""


def is_on(name: str, share: object, subject: object = None) -> bool:
    """True when the feature is on for *subject*; *share* is in per cent, from 0 to 100.

    Without a subject a feature is on only when it is for everybody. Who is in a share of 10 stays in one of 20; which
    visitors are first is another choice for each feature.
    """
    if isinstance(share, bool) or not isinstance(share, int | float):
        return share is True
    if share >= 100:
        return True
    if subject is None or share <= 0:
        return False
    digest = hashlib.blake2b(f"{name}\0{subject}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % STEPS < share * STEPS / 100
