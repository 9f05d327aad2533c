"""JSON to and from values: simplejson if the application installed it, else the standard library's.

``cherrypy._json`` of old; ``json``, ``decode`` and ``encode`` are looked up here by applications and tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

try:
    # COMPAT: CherryPy prefers it, and it writes Decimal and named tuples
    import simplejson as json  # type: ignore[import-untyped]
except ImportError:
    import json

__all__ = ["decode", "encode", "json"]

decode = json.JSONDecoder().decode
_encode = json.JSONEncoder().encode


def encode(value: Any) -> Iterator[bytes]:
    """Yield *value* as JSON in UTF-8; the whole in one piece, so that what cannot be written fails at once."""
    return iter((_encode(value).encode("utf-8"),))
